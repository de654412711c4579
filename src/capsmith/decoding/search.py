"""Search for captions.

B images · D channels · L regions. ``config`` has the settings, ``engine`` runs the searches, ``rerank`` reorders their
results. Plugins that add a custom search find everything they need in this module.
"""

from typing import TYPE_CHECKING, Any

from capsmith.core.errors import ConfigError
from capsmith.core.lazy_names import lazy_names
from capsmith.decoding.beam import beam
from capsmith.decoding.engine import Stepper
from capsmith.decoding.hypotheses import Hypothesis, require_hypotheses
from capsmith.decoding.rerank.rerank import reranker_of
from capsmith.decoding.sampling import greedy, sample
from capsmith.decoding.satisfying import satisfying
from capsmith.decoding.wishes import Wishes, has_wishes

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
    "Wishes",
    "beam",
    "greedy",
    "sample",
    "search",
]

_SETTINGS = ("DECODINGS", "BeamConfig", "DecodingConfig", "GreedyConfig", "SampleConfig")
__getattr__ = lazy_names(__name__, dict.fromkeys(_SETTINGS, "capsmith.decoding.config"))

_OWN = {"greedy": greedy, "beam": beam, "sample": sample}


def search(
    stepper: Stepper, features: Any, config: "DecodingConfig", wishes: Wishes | None = None
) -> list[list[Hypothesis]]:
    """Searches captions for a batch of images.

    Args:
        stepper: The model.
        features: The features of B images that ``stepper.start`` takes, (B, D) or (B, L, D); the length is B.
        config: The settings of a registered search.
        wishes: The words of ``config`` as token ids, from ``models.wishes.resolve``; needed if it has any.

    Returns:
        The hypotheses of each image, at least one, best first. With ``config.rerank`` they are the candidates for
        ``rerank.rerank``, not yet reranked.

    Raises:
        ConfigError: No caption satisfies the wishes, or the search is a plugin's and cannot satisfy them.
        TypeError: The config has wishes, but ``wishes`` is not given.
    """
    if wishes is None and has_wishes(config):
        raise TypeError("the search has words to include or exclude, a prefix or n: pass models.wishes.resolve(…)")
    if not is_own(config):
        hypotheses = _plugin_search(stepper, features, config, wishes)
    elif wishes is not None:
        hypotheses = satisfying(stepper, features, config, wishes)
    else:
        hypotheses = _OWN[config.type](config, stepper, features)  # type: ignore[operator]
    if config.rerank is None:
        return hypotheses
    reranker = reranker_of(config.rerank)
    if wishes is None:
        return reranker.candidates(hypotheses, stepper, features, config)
    more = {"wishes": wishes} if config.rerank.type == "mbr" else {}
    pools = reranker.candidates(hypotheses, stepper, features, config, **more)
    return [[one for one in pool if wishes.satisfied(one.tokens)] for pool in pools]


def is_own(config: "DecodingConfig") -> bool:
    """Returns whether a search is one of capsmith's, which are called without the registry; others are plugins'."""
    return config.type in _OWN


def _plugin_search(
    stepper: Stepper, features: Any, config: "DecodingConfig", wishes: Wishes | None
) -> list[list[Hypothesis]]:
    from capsmith.decoding.config import DECODINGS

    if wishes is not None and (wishes.prefix or wishes.exclude or wishes.include):
        raise ConfigError(f"decoding.type '{config.type}' is a plugin's search: it has no prefix, include and exclude")
    hypotheses: list[list[Hypothesis]] = DECODINGS.build(config, stepper, features)
    require_hypotheses(hypotheses, len(features), config.type)
    return hypotheses
