"""Unicode's form NFC, in a time that grows with the length of a text and not with its square."""

import unicodedata
from itertools import groupby

_SHORT = 500  # characters; below, the square does not matter


def nfc(text: str) -> str:
    """Returns a text in Unicode's form NFC, as ``unicodedata.normalize`` does.

    That function brings the marks on a letter into their order by exchanging neighbours, which takes 20 seconds for
    100 kB of marks in the worst order. Long texts are brought into order first; that changes nothing of the result.
    """
    if len(text) > _SHORT and not text.isascii():
        text = _in_order(text)
    return unicodedata.normalize("NFC", text)


def _in_order(text: str) -> str:
    """Decomposes characters and sorts the marks on each letter by their class, equal ones as they stand."""
    characters = (part for character in text for part in unicodedata.normalize("NFD", character))
    groups = groupby(characters, key=lambda character: unicodedata.combining(character) > 0)
    return "".join("".join(sorted(group, key=unicodedata.combining) if marks else group) for marks, group in groups)
