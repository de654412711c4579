"""Limits the batch size so that the memory of a search is bounded for all settings.

V vocabulary · T longest caption · N rows of one image.
"""

from typing import TYPE_CHECKING

from capsmith.core.errors import ConfigError
from capsmith.decoding.wishes import WIDEST

if TYPE_CHECKING:
    from capsmith.decoding.config import DecodingConfig

_MAX_NUMBERS = 100_000_000  # in memory at once, 4 bytes each; a step keeps several copies
_COPIES = 4  # of each row's tokens: unfinished and finished, before and after a step


def images_at_once(
    decoding: "DecodingConfig", vocabulary_size: int, most: int, members: int = 1, banks: int = 1
) -> int:
    """Returns the number of images to search together: ``most``, or fewer if that needs too much memory.

    A step keeps one number for each token of the vocabulary, each row, and each member of an ensemble.

    Args:
        decoding: The search.
        vocabulary_size: V.
        most: The requested batch size.
        members: Number of models in the ensemble.
        banks: Rows of the search for each row of its settings: see ``wishes.Wishes.banks``.

    Raises:
        ConfigError: The search of one image alone needs too much memory.
    """
    by_field = decoding.all_rows
    rows = (max(1, *by_field.values()) if by_field else 1) * banks
    numbers = members * vocabulary_size + _COPIES * decoding.max_length
    numbers *= WIDEST if (decoding.n or 1) > 1 else 1
    if rows * numbers > _MAX_NUMBERS:
        cost = (
            f"over {vocabulary_size:,} words and up to {decoding.max_length:,} of them in a caption, would take about "
            f"{rows * numbers * 16 / 1e9:,.0f} GB for one image"
        )
        largest = _MAX_NUMBERS // numbers // banks
        if not by_field or not largest:
            raise ConfigError(f"decoding.include: {banks - 1:,} tokens, {cost}: include fewer words")
        name = max(by_field, key=lambda field: by_field[field])
        raise ConfigError(f"decoding.{name} {by_field[name] * banks:,}, {cost}: set it to {largest:,} or less")
    return max(1, min(most, _MAX_NUMBERS // (rows * numbers)))
