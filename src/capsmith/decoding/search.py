"""Search for captions.

B images · D channels · L regions. ``config`` has the settings, ``engine`` runs the searches, ``rerank`` reorders their
results. Plugins that add a custom search find everything they need in this module.
"""

from typing import Any

from capsmith.decoding.beam import beam
from capsmith.decoding.config import DECODINGS, BeamConfig, DecodingConfig, GreedyConfig, SampleConfig
from capsmith.decoding.engine import Stepper
from capsmith.decoding.hypotheses import Hypothesis, require_hypotheses
from capsmith.decoding.rerank.config import RERANKERS
from capsmith.decoding.sampling import greedy, sample

__all__ = [
    "DECODINGS",
    "BeamConfig",
    "DecodingConfig",
    "GreedyConfig",
    "Hypothesis",
    "SampleConfig",
    "Stepper",
    "beam",
    "greedy",
    "sample",
    "search",
]


def search(stepper: Stepper, features: Any, config: DecodingConfig) -> list[list[Hypothesis]]:
    """Searches captions for a batch of images.

    Args:
        stepper: The model.
        features: The features of B images that ``stepper.start`` takes, (B, D) or (B, L, D); the length is B.
        config: The settings of a registered search.

    Returns:
        The hypotheses of each image, at least one, best first. With ``config.rerank`` they are the candidates for
        ``rerank.rerank``, not yet reranked.
    """
    hypotheses: list[list[Hypothesis]] = DECODINGS.build(config, stepper, features)
    if DECODINGS.settings.is_external(config.type):
        require_hypotheses(hypotheses, len(features), config.type)
    if config.rerank is not None:
        hypotheses = RERANKERS.build(config.rerank).candidates(hypotheses, stepper, features, config)
    return hypotheses
