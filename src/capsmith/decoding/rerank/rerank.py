"""Applies the reranker of a search's settings.

B images · D channels · L regions.
"""

from typing import TYPE_CHECKING

import numpy as np

from capsmith.decoding.hypotheses import Hypothesis
from capsmith.decoding.rerank.reranker import RerankContext, Reranker

if TYPE_CHECKING:
    from capsmith.decoding.config import DecodingConfig
    from capsmith.decoding.rerank.config import RerankConfig


def rerank(
    candidates: list[list[Hypothesis]], features: np.ndarray, config: "DecodingConfig", context: RerankContext
) -> list[list[Hypothesis]]:
    """Applies the reranker of a config, if it has one.

    Args:
        candidates: The result of ``search`` for B images.
        features: Features (B, D) or (B, L, D) that the caption index was built from.
        config: The settings of the search.
        context: The data that the reranker may read.
    """
    if config.rerank is None:
        return candidates
    return reranker_of(config.rerank).rerank(candidates, features, context)


def reranker_of(config: "RerankConfig") -> Reranker:
    """Returns the reranker of its settings: capsmith's own, or a plugin's from the registry."""
    if config.type == "mbr":
        from capsmith.decoding.rerank.mbr import MbrReranker

        return MbrReranker(config)  # type: ignore[arg-type]
    from capsmith.decoding.rerank.config import RERANKERS

    reranker: Reranker = RERANKERS.build(config)
    return reranker
