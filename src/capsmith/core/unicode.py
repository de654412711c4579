"""Unicode normalisation to NFC in linear time."""

import unicodedata
from itertools import groupby

_SHORT = 500  # characters; quadratic time does not matter below this


def nfc(text: str) -> str:
    """Returns a text in Unicode normalisation form C, as ``unicodedata.normalize`` does.

    ``unicodedata.normalize`` sorts the combining marks of a letter in quadratic time: 100 kB of marks in the worst
    order take 20 seconds. Long texts are sorted here first, which does not change the result.
    """
    if len(text) > _SHORT and not text.isascii():
        text = _sort_marks(text)
    return unicodedata.normalize("NFC", text)


def _sort_marks(text: str) -> str:
    """Decomposes characters and sorts the combining marks of each letter by class; the sort is stable."""
    characters = (part for character in text for part in unicodedata.normalize("NFD", character))
    groups = groupby(characters, key=lambda character: unicodedata.combining(character) > 0)
    return "".join("".join(sorted(group, key=unicodedata.combining) if marks else group) for marks, group in groups)
