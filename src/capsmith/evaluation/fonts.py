"""Text in images: fonts that contain the letters, and line breaks.

Pillow's built-in font has only Latin letters. For other scripts, the fonts of the machine are tried in order. Letters
that no font contains are drawn as empty boxes.
"""

import functools
import unicodedata

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_SYSTEM_FONTS = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "NotoSansCJK-Regular.ttc",
    "NotoSansDevanagari-Regular.ttf",
    "NotoSansArabic-Regular.ttf",
    "NotoSansThai-Regular.ttf",
    "DroidSansFallbackFull.ttf",
    "wqy-microhei.ttc",
    "Arial Unicode.ttf",
    "PingFang.ttc",
    "Devanagari Sangam MN.ttc",
    "arial.ttf",
    "msyh.ttc",
    "Nirmala.ttf",
)
"""Files that Pillow looks up in the font folders of Linux, macOS and Windows, in order of preference."""


def font_for(text: str, size: int) -> Font:
    """Returns the first font that contains all letters of a text, otherwise the font that contains most of them.

    Args:
        text: The text to draw.
        size: The height in pixels.
    """
    letters = frozenset(c for c in unicodedata.normalize("NFC", text) if not c.isspace() and c.isprintable())
    best, most = None, -1
    for name in (None, *_SYSTEM_FONTS):
        font = _font(name, size)
        if font is None:
            continue
        known = sum(_has(name, letter) for letter in letters)
        if known == len(letters):
            return font
        if known > most:
            best, most = font, known
    return best or ImageFont.load_default()


def wrap(text: str, font: Font, width: float) -> list[str]:
    """Breaks a text into lines of at most ``width`` pixels.

    Lines break at spaces. A word that is wider than a line, or a script without spaces, breaks between letters.
    """
    lines: list[str] = []
    line = ""
    for word in text.split():
        candidate = f"{line} {word}" if line else word
        if font.getlength(candidate) <= width:
            line = candidate
            continue
        if line:
            lines.append(line)
        *full_lines, line = _letters_that_fit(word, font, width)
        lines += full_lines
    return [*lines, line] if line else lines


def _letters_that_fit(word: str, font: Font, width: float) -> list[str]:
    pieces, piece = [], ""
    for letter in word:
        # A combining mark never starts a line.
        if piece and not unicodedata.combining(letter) and font.getlength(piece + letter) > width:
            pieces.append(piece)
            piece = ""
        piece += letter
    return [*pieces, piece]


@functools.lru_cache(maxsize=256)
def _font(name: str | None, size: int) -> Font | None:
    try:
        return ImageFont.load_default(size) if name is None else ImageFont.truetype(name, size)
    except (OSError, ImportError):
        return None


@functools.lru_cache(maxsize=8192)
def _has(name: str | None, letter: str) -> bool:
    """Returns whether a font draws a letter differently from its box for missing letters."""
    font = _font(name, 24)
    if font is None:
        return False
    drawn = font.getmask(letter)
    missing = font.getmask("\U0010fffd")
    return drawn.size != missing.size or bytes(drawn) != bytes(missing)
