"""What the columns of a table hold, by their values first and their names second."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from capsmith.data.splits import split_name

CAPTION = ("caption", "text", "sentence", "description", "comment", "title", "label", "beschreibung", "légende")
"""Parts of the names of columns with captions, the likeliest first."""
IMAGE = ("image", "file", "path", "picture", "photo", "img", "name", "bild")
"""Parts of the names of columns with pictures."""
_VARIED = 0.2  # share of a caption column's values that differ, at least


def caption_columns(columns: Mapping[str, list[Any]], taken: Sequence[str]) -> tuple[str, ...]:
    """Returns the column with the captions, or several where they are numbered, as in ``caption1``; or none."""
    free = {column: values for column, values in columns.items() if column not in taken}
    varied = {column: values for column, values in free.items() if _is_text(values)}
    length = {column: _mean_length(values) for column, values in (varied or free).items()}
    if not any(length.values()):
        return ()
    known = [column for column in length if rank(column, CAPTION)[0] < len(CAPTION)]
    best = max(known or length, key=lambda column: length[column])
    stem = best.rstrip("0123456789").rstrip("_- ")
    like = tuple(column for column in length if column.rstrip("0123456789").rstrip("_- ") == stem)
    return like if len(like) > 1 else (best,)


def _is_text(values: list[Any]) -> bool:
    """Returns whether values can be captions: no addresses, and not nearly always the same."""
    texts = [text for text in texts_of(values) if text.strip()]
    if not texts or sum(text.startswith(("http://", "https://")) for text in texts) > len(texts) / 2:
        return False
    return len(texts) < 10 or len(set(texts)) >= _VARIED * len(texts)


def rank(column: str, names: Sequence[str]) -> tuple[int, int]:
    """Returns how early a list has a name that stands in the column's; columns with shorter names come first."""
    place = next((n for n, name in enumerate(names) if name in column.lower()), len(names))
    return place, len(column)


def texts_of(values: Iterable[Any]) -> list[str]:
    """Returns the texts among values, and in lists of them."""
    return [
        text for value in values for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)
    ]


def are_splits(values: list[Any]) -> bool:
    """Returns whether values name splits, some of them perhaps missing."""
    known = [split_name(value) if isinstance(value, str) else None if value is not None else "" for value in values]
    return any(known) and None not in known


def _mean_length(values: list[Any]) -> float:
    texts = texts_of(values)
    return sum(sum(map(str.isalnum, text)) for text in texts) / max(len(texts), 1)
