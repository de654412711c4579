"""Checks of the settings that hold words: a prefix, words to include and to exclude."""

from collections.abc import Sequence
from typing import Any

_MAX_WORDS = 100_000
_MAX_CHARACTERS = 1_000  # of a prefix, word or phrase


def as_words(value: Any, several: bool) -> Any:
    """Returns a value, a single word as a list of one if several are allowed.

    Raises:
        ValueError: YAML has read a word, such as ``on``, as another value.
    """
    words = value if isinstance(value, list | tuple) else (value,)
    if any(isinstance(word, bool | int | float) for word in words):
        raise ValueError("YAML reads yes, no, on, off, true, false and numbers as other values: write them in quotes")
    return (value,) if several and isinstance(value, str) else value


def checked_words(value: Any) -> Any:
    """Returns a text, or several.

    Raises:
        ValueError: There are too many, one is too long, or one contains a control character.
    """
    words: Sequence[str] = (value,) if isinstance(value, str) else value
    if len(words) > _MAX_WORDS:
        raise ValueError(f"{len(words):,} words are more than {_MAX_WORDS:,}")
    for word in words:
        if len(word) > _MAX_CHARACTERS:
            raise ValueError(f"{word[:20]!r}… has {len(word):,} characters, more than {_MAX_CHARACTERS:,}")
        if any(ord(c) < 32 or "\ud800" <= c <= "\udfff" for c in word):
            raise ValueError(f"{word!r:.80} contains a control character")
    return value
