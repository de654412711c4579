"""Search for captions.

B images · D channels · L regions. ``config`` has the settings, ``engine`` runs the searches, ``rerank`` reorders their
results. Plugins that add a custom search find everything they need in this module.
"""

from typing import Any

from capsmith.core.errors import ConfigError
from capsmith.decoding.beam import beam
from capsmith.decoding.config import DECODINGS, BeamConfig, DecodingConfig, GreedyConfig, SampleConfig
from capsmith.decoding.engine import Stepper
from capsmith.decoding.hypotheses import Hypothesis, require_hypotheses
from capsmith.decoding.rerank.config import RERANKERS
from capsmith.decoding.sampling import greedy, sample
from capsmith.decoding.wishes import Wishes

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


_WIDER = 3  # times that a search may be widened for images with too few captions


def search(
    stepper: Stepper, features: Any, config: DecodingConfig, wishes: Wishes | None = None
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
    if wishes is None:
        if config.has_wishes:
            raise TypeError("the search has words to include or exclude, a prefix or n: pass models.wishes.resolve(…)")
        hypotheses: list[list[Hypothesis]] = DECODINGS.build(config, stepper, features)
    elif DECODINGS.settings.is_external(config.type):
        if wishes.prefix or wishes.exclude or wishes.include:
            raise ConfigError(
                f"decoding.type '{config.type}' is a plugin's search, which has no prefix, include and exclude"
            )
        hypotheses = DECODINGS.build(config, stepper, features)
    else:
        hypotheses = _satisfying(stepper, features, config, wishes)
    if DECODINGS.settings.is_external(config.type):
        require_hypotheses(hypotheses, len(features), config.type)
    if config.rerank is not None:
        hypotheses = _with_candidates(hypotheses, stepper, features, config, wishes)
    return hypotheses


def _satisfying(stepper: Stepper, features: Any, config: DecodingConfig, wishes: Wishes) -> list[list[Hypothesis]]:
    """Returns hypotheses that satisfy the wishes; the search is widened for images that have too few of them.

    The other images keep their first result, so that captions do not depend on the batch.
    """
    n = wishes.n or 1
    if n > 1 or (wishes.include and isinstance(config, GreedyConfig)):
        config = config.widened(2 * n if n > 1 else 1)
    found: list[list[Hypothesis]] = [[] for _ in range(len(features))]
    for _ in range(_WIDER + 1):
        enough = [len(wishes.distinct(one)) >= n for one in found]
        if all(enough):
            return found
        more: list[list[Hypothesis]] = DECODINGS.build(config, stepper, features, wishes)
        for place in (place for place, done in enumerate(enough) if not done):
            found[place] = [one for one in more[place] if wishes.satisfied(one.tokens)]
        config = config.widened(2 * sum(config.rows.values()))
    if not all(found):
        raise ConfigError(
            f"decoding: no caption of up to {config.max_length} tokens satisfies prefix, include, exclude and "
            "no_repeat together: raise max_length, or drop a word"
        )
    return found


def _with_candidates(
    hypotheses: list[list[Hypothesis]], stepper: Stepper, features: Any, config: DecodingConfig, wishes: Wishes | None
) -> list[list[Hypothesis]]:
    """Returns the hypotheses and those that the reranker adds, if they satisfy the wishes."""
    if config.rerank is None:
        return hypotheses
    reranker = RERANKERS.build(config.rerank)
    if wishes is None:
        pools: list[list[Hypothesis]] = reranker.candidates(hypotheses, stepper, features, config)
        return pools
    own = not RERANKERS.settings.is_external(config.rerank.type)
    pools = reranker.candidates(hypotheses, stepper, features, config, **({"wishes": wishes} if own else {}))
    return [[one for one in pool if wishes.satisfied(one.tokens)] for pool in pools]
