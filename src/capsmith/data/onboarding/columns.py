"""Detects what table columns contain, first by their values, then by their names."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from capsmith.data.splits import split_name

CAPTION = ("caption", "text", "sentence", "description", "comment", "title", "label", "beschreibung", "légende")
"""Parts of the names of caption columns, the most likely first."""
IMAGE = ("image", "file", "path", "picture", "photo", "img", "name", "bild")
"""Parts of the names of image columns, the most likely first."""
_LEAST_VARIETY = 0.2  # minimum fraction of distinct values in a caption column
_FEW_TEXTS = 10  # with fewer texts, repetition is no evidence


def caption_columns(columns: Mapping[str, list[Any]]) -> tuple[str, ...]:
    """Returns the caption column, or several if their names are numbered (``caption1``, …); empty if there are none.

    Args:
        columns: Values by column; without the columns that hold images or splits.
    """
    text_columns = {column: values for column, values in columns.items() if _can_be_captions(values)}
    length = {column: _mean_length(values) for column, values in (text_columns or columns).items()}
    if not any(length.values()):
        return ()
    named = [column for column in length if rank(column, CAPTION)[0] < len(CAPTION)]
    best = max(named or length, key=lambda column: length[column])
    numbered = tuple(column for column in length if _without_number(column) == _without_number(best))
    return numbered if len(numbered) > 1 else (best,)


def rank(column: str, names: Sequence[str]) -> tuple[int, int]:
    """Returns a sort key: the index of the first name contained in the column's name, then the length of that name."""
    position = next((n for n, name in enumerate(names) if name in column.lower()), len(names))
    return position, len(column)


def texts_of(values: Iterable[Any]) -> list[str]:
    """Returns the texts among values, including those in lists."""
    return [
        text for value in values for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)
    ]


def are_splits(values: list[Any]) -> bool:
    """Returns whether all values are split names or missing, and at least one is a split name."""
    splits = [split_name(value) if isinstance(value, str) else None if value is not None else "" for value in values]
    return any(splits) and None not in splits


def _can_be_captions(values: list[Any]) -> bool:
    """Returns whether values can be captions: no URLs, and not nearly all the same."""
    texts = [text for text in texts_of(values) if text.strip()]
    if not texts or sum(text.startswith(("http://", "https://")) for text in texts) > len(texts) / 2:
        return False
    return len(texts) < _FEW_TEXTS or len(set(texts)) >= _LEAST_VARIETY * len(texts)


def _without_number(column: str) -> str:
    return column.rstrip("0123456789").rstrip("_- ")


def _mean_length(values: list[Any]) -> float:
    texts = texts_of(values)
    return sum(sum(map(str.isalnum, text)) for text in texts) / max(len(texts), 1)
