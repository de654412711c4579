"""Searches that are widened until enough hypotheses satisfy the wishes."""

from dataclasses import fields
from typing import Any

from capsmith.core.errors import ConfigError
from capsmith.decoding.beam import Beams, beam
from capsmith.decoding.engine import Stepper
from capsmith.decoding.hypotheses import Hypothesis
from capsmith.decoding.sampling import Sampling, greedy, sample
from capsmith.decoding.wishes import WIDEST, Wishes


def satisfying(stepper: Stepper, features: Any, config: Any, wishes: Wishes) -> list[list[Hypothesis]]:
    """Returns hypotheses of capsmith's own searches that satisfy the wishes, ``n`` distinct ones if there are.

    The search is widened for images that have too few. The others keep their first result, so that captions do not
    depend on the batch.

    Args:
        stepper: The model.
        features: The features of B images.
        config: The settings: ``greedy``, ``beam`` or ``sample``.
        wishes: What the captions must satisfy.

    Raises:
        ConfigError: No caption of an image satisfies the wishes.
    """
    n = wishes.n or 1
    width = getattr(config, "beam_size", 1) if config.type == "beam" else getattr(config, "samples", 1)
    width = max(width, 2 * n if n > 1 else 1)
    found: list[list[Hypothesis]] = [[] for _ in range(len(features))]
    widest = WIDEST * width
    while True:
        enough = [len(wishes.distinct(one)) >= n for one in found]
        if all(enough) or width > widest:
            break
        more = _search(stepper, features, config, wishes, width)
        for place in (place for place, done in enumerate(enough) if not done):
            satisfied = [one for one in more[place] if wishes.satisfied(one.tokens)]
            found[place] = max(found[place], satisfied, key=lambda some: len(wishes.distinct(some)))
        width *= 2
    if not all(found):
        raise ConfigError(
            f"decoding: no caption of up to {config.max_length} tokens satisfies prefix, include, exclude and "
            "no_repeat together: raise max_length, or drop a word"
        )
    return found


def _search(stepper: Stepper, features: Any, config: Any, wishes: Wishes, width: int) -> list[list[Hypothesis]]:
    """Searches with at least ``width`` hypotheses of each image; greedy search with several is beam search."""
    if config.type == "greedy" and width == 1 and not wishes.include:
        return greedy(config, stepper, features, wishes)
    if config.type == "sample":
        return sample(_taken(Sampling, config, samples=width), stepper, features, wishes)
    groups = getattr(config, "groups", 1)
    return beam(_taken(Beams, config, beam_size=-(-width // groups) * groups), stepper, features, wishes)


def _taken(kind: Any, config: Any, **changes: int) -> Any:
    """Returns the settings that a search reads, with changes."""
    own = {field.name: getattr(config, field.name) for field in fields(kind) if hasattr(config, field.name)}
    return kind(**{**own, **changes})
