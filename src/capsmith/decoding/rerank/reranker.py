"""What a reranker is, and the call that applies the one of a config.

B images · D channels · L regions.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from capsmith.decoding.config import DecodingConfig
from capsmith.decoding.engine import Stepper
from capsmith.decoding.hypotheses import Hypothesis
from capsmith.decoding.rerank.config import RERANKERS
from capsmith.retrieval.caption_index import CaptionIndex


class RerankContext(Protocol):
    """What rerankers may read beside hypotheses and features, such as a captioner."""

    @property
    def caption_index(self) -> CaptionIndex:
        """Captions of the training images; read when first used."""


class Reranker(Protocol):
    """Orders hypotheses anew. Registered with its settings: ``@RERANKERS.register("package.module:Class")``."""

    def candidates(
        self, hypotheses: Sequence[list[Hypothesis]], stepper: Stepper, features: Any, search: DecodingConfig
    ) -> list[list[Hypothesis]]:
        """Returns the hypotheses of each of B images with those that the reranker adds."""

    def rerank(
        self, candidates: Sequence[list[Hypothesis]], features: np.ndarray, context: RerankContext
    ) -> list[list[Hypothesis]]:
        """Returns the hypotheses of each of B images, best first, with the reranker's scores."""


def rerank(
    candidates: list[list[Hypothesis]], features: np.ndarray, config: DecodingConfig, context: RerankContext
) -> list[list[Hypothesis]]:
    """Applies the reranker of a config, if it has one.

    Args:
        candidates: What ``search`` returned for B images.
        features: Features (B, D) or (B, L, D) that the caption index was built from.
        config: The settings of the search.
        context: What the reranker may read.
    """
    if config.rerank is None:
        return candidates
    ranked: list[list[Hypothesis]] = RERANKERS.build(config.rerank).rerank(candidates, features, context)
    return ranked
