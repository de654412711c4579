"""What a person may write as a caption: one line in any script, kept as it was typed."""

import unicodedata

from capsmith.core.errors import CapsmithError
from capsmith.core.unicode import nfc

MAX_LENGTH = 1000
"""Longest caption in characters."""
_REFUSED = {
    "Cc": "a control character, such as a line end or a tab",
    "Zl": "a line end",
    "Zp": "a line end",
    "Cs": "half of a character",
}
"""Unicode categories that a caption may not contain, with their description."""
_INVISIBLE = ("Cf", "Zs")  # marks of direction and joiners, blanks: they are kept beside visible characters
_MARK = "\ufeff"  # a byte order mark, which text files lose at their start


class CaptionError(CapsmithError):
    """A caption cannot be used."""


def checked_caption(text: str) -> str:
    """Returns a caption without blanks at its ends, otherwise as it was typed: it is not normalised.

    Raises:
        CaptionError: It is empty or too long, or contains control characters.
    """
    if len(text) > MAX_LENGTH:
        raise CaptionError(f"the caption has {len(text):,} characters: the limit is {MAX_LENGTH:,}")
    text = text.strip(" \u00a0\u3000")
    for place, character in enumerate(text, start=1):
        what = "a byte order mark" if character == _MARK else _REFUSED.get(unicodedata.category(character))
        if what is not None:
            raise CaptionError(f"character {place} (U+{ord(character):04X}) is {what}: a caption is one line of text")
    if all(unicodedata.category(character) in _INVISIBLE for character in text):
        raise CaptionError("the caption is empty")
    return text


def folded(text: str) -> str:
    """Returns a text in the form in which a search compares: NFC, without case."""
    return nfc(nfc(text).casefold())
