"""The human row: the score of the references themselves, as a ceiling for models."""

from capsmith.core.errors import DataError
from capsmith.metrics.scorer import Scorer
from capsmith.metrics.scores import Score


def human_rows(scorer: Scorer) -> list[dict[str, Score]]:
    """Scores each reference in turn against the other references of its image.

    Args:
        scorer: The references and the metrics.

    Returns:
        The scores of the first reference of every image, of the second, and so on, up to the number of references
        of the image that has the fewest.

    Raises:
        DataError: An image has only one reference.
    """
    fewest = min(len(group) for group in scorer.tokens)
    if fewest < 2:
        single = next(key for key, group in zip(scorer.ids, scorer.tokens, strict=True) if len(group) < 2)
        raise DataError(f"the human row requires two references per image or more; image {single} has one")
    left_out = ([group[number] for group in scorer.tokens] for number in range(fewest))
    return [scorer.without_reference(number).score_tokens(tokens) for number, tokens in enumerate(left_out)]
