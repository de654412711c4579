"""Cleaning: turns a caption into one line of plain tokens, in any script.

Word mode follows the convention of coco-caption's tokeniser, so that a model learns to write what the metrics count:

* ``The dog's t-shirt, 1,000 "fans"!`` becomes ``the dog 's t-shirt 1,000 fans``. English clitics
  (``'s n't 're 've 'll 'd 'm``) are separate words. Hyphens and apostrophes inside a word stay, and so do ``. , : /``
  between digits. ``l'homme`` and ``rock'n'roll`` stay as they are.
* ``'quoted' -- dogs'`` becomes ``quoted dogs``: outside a word, hyphens and apostrophes are punctuation.
* ``एक कुत्ता।`` becomes ``एक कुत्ता``: combining marks belong to their letter.

The Unicode category of a character decides; nothing here depends on ASCII. Invisible format characters (soft hyphen,
direction marks, byte order mark) are removed, a zero-width space separates words, and zero-width joiners stay where
scripts need them. ``’`` and the hyphens U+2010 and U+2011 count as ``'`` and ``-``. The result is in Unicode form NFC,
and cleaning it again changes nothing.
"""

import re
import unicodedata
from typing import TYPE_CHECKING

from capsmith.core.unicode import nfc

if TYPE_CHECKING:
    from capsmith.data.text.config import TextConfig

# Each character is replaced by the letter of its class, so that regular expressions over classes find words in any
# script:  a letter · 1 number · m mark · j joiner · ' - apostrophe, hyphen · . joins digits ·
# p other punctuation and symbols · blank for separators.
_UNIT = r"[a1](?:j*m)*"
_WORD = rf"{_UNIT}(?:(?:j+|['-]|(?<=1)[.](?=1))?{_UNIT})*(?:(?<=m)j)?"
_TOKEN = re.compile(rf"(?P<word>{_WORD})|(?P<other>[p.'-]m*)")
_NUMBER = re.compile(r"1(?:j*m)*")
_CLITIC = re.compile(r"n't|'(?:s|re|ve|ll|d|m)", re.IGNORECASE)


class _Classes(dict[int, str]):
    """A table for ``str.translate`` that classifies characters on first use."""

    _FIXED = {"'": "'", "-": "-", ".": ".", ",": ".", ":": ".", "/": ".", "\u200c": "j", "\u200d": "j"}
    _BY_CATEGORY = {"L": "a", "N": "1", "M": "m", "P": "p", "S": "p", "Z": " ", "Cn": "p", "Co": "p"}

    def __missing__(self, code: int) -> str:
        category = unicodedata.category(chr(code))
        name = self._FIXED.get(chr(code)) or self._BY_CATEGORY.get(category) or self._BY_CATEGORY.get(category[0])
        self[code] = name or " "
        return self[code]


class _Visible(dict[int, int | str | None]):
    """A table for ``str.translate`` that removes format characters and unifies apostrophes and hyphens."""

    def __missing__(self, code: int) -> int | None:
        is_format = unicodedata.category(chr(code)) == "Cf"
        self[code] = None if is_format else code
        return None if is_format else code


_CLASSES = _Classes()
_VISIBLE = _Visible(
    {0x2019: "'", 0x2010: "-", 0x2011: "-", 0x200B: " ", 0x200C: 0x200C, 0x200D: 0x200D}
)  # zero-width space, non-joiner and joiner are format characters too


def classes(text: str) -> str:
    """Returns the class of each character: ``a`` letter, ``1`` number, ``m`` mark, and so on."""
    return text.translate(_CLASSES)


def clean(caption: str, config: "TextConfig") -> str:
    """Cleans one caption as described in the module docstring.

    Args:
        caption: Any text.
        config: What to keep. ``one_letter_words="remove"`` drops words of a single letter in scripts that
            have upper and lower case (``a``, ``'s``, ``à``; never a Chinese or Hindi one), in word mode only.
            ``digits="remove"`` drops words that contain a digit, in character mode the digits themselves.

    Returns:
        The words, separated by single spaces; in character mode the text, with runs of white space as one space.
    """
    text = nfc(caption.translate(_VISIBLE))
    if config.lowercase:
        text = nfc(text.lower())
    return _characters(text, config) if config.mode == "char" else " ".join(_words(text, config))


def is_clitic(word: str) -> bool:
    """Returns whether a token is attached to the word before it, such as ``'s``."""
    return _CLITIC.fullmatch(word) is not None


def _words(text: str, config: "TextConfig") -> list[str]:
    kinds = classes(text)
    words: list[str] = []
    position = 0
    while (match := _TOKEN.search(kinds, position)) is not None:
        start, position = match.span()
        if match["word"]:
            words += _split_clitics(text[start:position])
        elif clitic := _separate_clitic(text, kinds, start):
            words.append(clitic)
            position = start + len(clitic)
        elif config.punctuation == "keep":
            words.append(text[start:position])
    return [word for word in words if _is_kept(word, config)]


def _separate_clitic(text: str, kinds: str, start: int) -> str | None:
    """Returns a clitic that is already separate, as in ``dog 's``: some datasets are tokenised."""
    match = _CLITIC.match(text, start)
    if match is None or text[start] != "'":
        return None
    after = kinds[match.end() : match.end() + 1]
    return match[0] if after not in ("a", "1", "m", "j") else None


def _split_clitics(word: str) -> list[str]:
    """Splits ``don't`` into ``do`` and ``n't``."""
    clitics: list[str] = []
    end = len(word)
    while (clitic := _clitic_before(word, end)) and classes(word[end - len(clitic) - 1]) in "a1mj":
        clitics.append(clitic)
        end -= len(clitic)
    return [word[:end], *reversed(clitics)]


def _clitic_before(word: str, end: int) -> str:
    """Returns the clitic that ends at a position and does not begin the word; empty if there is none."""
    for start in (end - 3, end - 2):  # clitics have two or three characters
        if start > 0 and _CLITIC.fullmatch(word, start, end):
            return word[start:end]
    return ""


def _is_kept(word: str, config: "TextConfig") -> bool:
    kinds = classes(word)
    if config.digits == "remove" and "1" in kinds:
        return False
    if config.one_letter_words == "remove" and kinds.count("a") == 1 and "1" not in kinds:
        letter = word[kinds.index("a")]
        return letter.lower() == letter.upper()
    return True


def _characters(text: str, config: "TextConfig") -> str:
    if config.digits == "remove":
        text = _without_numbers(text)
    pieces = []
    end = 0
    for match in _TOKEN.finditer(classes(text)):
        start, previous, end = match.start(), end, match.end()
        pieces.append(" " if start > previous else "")  # white space, or a mark or joiner without a letter
        pieces.append(text[start:end] if match["word"] or config.punctuation == "keep" else " ")
    return " ".join("".join(pieces).split())


def _without_numbers(text: str) -> str:
    parts, end = [], 0
    for match in _NUMBER.finditer(classes(text)):
        parts.append(text[end : match.start()])
        end = match.end()
    return nfc("".join([*parts, text[end:]]))  # characters that are adjacent now may compose
