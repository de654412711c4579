"""The human row: what people score, so that a number has a ceiling."""

from collections.abc import Mapping, Sequence
from typing import Any

from capsmith.core.errors import DataError
from capsmith.metrics.scorer import DEFAULT, Scorer
from capsmith.metrics.scores import Score


def human_rows(scorer: Scorer) -> list[dict[str, Score]]:
    """Scores each reference in turn against the other references of its image.

    Args:
        scorer: Holds the references, tokenised, and names the metrics.

    Returns:
        The scores of the first reference of every image, of the second, … as many as the image with the fewest
        references has.

    Raises:
        DataError: An image has a single reference.
    """
    fewest = min(len(group) for group in scorer.tokens)
    if fewest < 2:
        single = next(key for key, group in zip(scorer.ids, scorer.tokens, strict=True) if len(group) < 2)
        raise DataError(f"the human row needs two references an image or more; image {single} has one")
    return [
        scorer.leaving_out(number).score_tokens([group[number] for group in scorer.tokens]) for number in range(fewest)
    ]


def human(
    references: Mapping[Any, Sequence[Any]], metrics: Sequence[str] = DEFAULT, tokeniser: str = "coco"
) -> list[dict[str, Score]]:
    """Scores people against people: see ``human_rows``; arguments as for ``score``."""
    return human_rows(Scorer(references, metrics, tokeniser))
