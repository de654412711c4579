"""Search for captions.

B images · D channels · L regions. ``config`` has the settings, ``engine`` runs the searches, ``rerank`` reorders their
results. Plugins that add a custom search find everything they need in this module.
"""

from typing import TYPE_CHECKING, Any

from capsmith.core.lazy_names import lazy_names
from capsmith.decoding.beam import beam
from capsmith.decoding.engine import Stepper
from capsmith.decoding.hypotheses import Hypothesis, require_hypotheses
from capsmith.decoding.rerank.rerank import reranker_of
from capsmith.decoding.sampling import greedy, sample

if TYPE_CHECKING:
    from capsmith.decoding.config import DECODINGS, BeamConfig, DecodingConfig, GreedyConfig, SampleConfig

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

_SETTINGS = ("DECODINGS", "BeamConfig", "DecodingConfig", "GreedyConfig", "SampleConfig")
__getattr__ = lazy_names(__name__, dict.fromkeys(_SETTINGS, "capsmith.decoding.config"))

_OWN = {"greedy": greedy, "beam": beam, "sample": sample}


def search(stepper: Stepper, features: Any, config: "DecodingConfig") -> list[list[Hypothesis]]:
    """Searches captions for a batch of images.

    Args:
        stepper: The model.
        features: The features of B images that ``stepper.start`` takes, (B, D) or (B, L, D); the length is B.
        config: The settings of a registered search.

    Returns:
        The hypotheses of each image, at least one, best first. With ``config.rerank`` they are the candidates for
        ``rerank.rerank``, not yet reranked.
    """
    if is_own(config):
        hypotheses: list[list[Hypothesis]] = _OWN[config.type](config, stepper, features)  # type: ignore[operator]
    else:
        hypotheses = _plugin_search(stepper, features, config)
    if config.rerank is not None:
        hypotheses = reranker_of(config.rerank).candidates(hypotheses, stepper, features, config)
    return hypotheses


def is_own(config: "DecodingConfig") -> bool:
    """Returns whether a search is one of capsmith's, which are called without the registry; others are plugins'."""
    return config.type in _OWN


def _plugin_search(stepper: Stepper, features: Any, config: "DecodingConfig") -> list[list[Hypothesis]]:
    from capsmith.decoding.config import DECODINGS

    hypotheses: list[list[Hypothesis]] = DECODINGS.build(config, stepper, features)
    require_hypotheses(hypotheses, len(features), config.type)
    return hypotheses
