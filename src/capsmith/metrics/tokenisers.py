"""Named, versioned ways to turn a caption into tokens.

A version changes whenever any caption could come out differently: it stands in every signature.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from capsmith.core.errors import DataError
from capsmith.core.schema import nearest
from capsmith.core.unicode import nfc

_WORD = re.compile(r"[^\s'’-]+(?:['’-][^\s'’-]+)*")


@dataclass(frozen=True)
class Tokeniser:
    """A way to split captions.

    Attributes:
        name: As in ``tokeniser="coco"``.
        version: Goes up when its output changes.
        case: ``lower`` or ``mixed``, for the signature.
        summary: One line for people.
        split: From a caption to its tokens.
    """

    name: str
    version: int
    case: str
    summary: str
    split: Callable[[str], list[str]]

    def __call__(self, caption: str) -> list[str]:
        """Returns the caption's tokens."""
        return self.split(caption)

    @property
    def tag(self) -> str:
        """Name and version, such as ``coco.1``."""
        return f"{self.name}.{self.version}"


class _Separators(dict[int, str]):
    """For ``str.translate``: a space for everything that is no letter, digit, mark, apostrophe or hyphen."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        keep = character in "'’-" or unicodedata.category(character)[0] in "LNM"
        self[code] = character if keep else " "
        return self[code]


_SEPARATORS = _Separators()


def coco(caption: str) -> list[str]:
    """The Penn Treebank tokens that coco-caption scores: see ``capsmith.metrics.ptb``."""
    from capsmith.metrics import ptb  # compiles its rules: only when needed

    return ptb.coco(caption)


def simple(caption: str) -> list[str]:
    """Lower case; runs of letters, digits and marks, with apostrophes and hyphens inside a word; nothing else."""
    return _WORD.findall(nfc(caption).lower().translate(_SEPARATORS))


def characters(caption: str) -> list[str]:
    """Lower case; every letter, digit and mark by itself: for languages written without spaces."""
    return [c for c in nfc(caption).lower() if unicodedata.category(c)[0] in "LNM"]


TOKENISERS = {
    tokeniser.name: tokeniser
    for tokeniser in (
        Tokeniser("coco", 1, "lower", "Penn Treebank and punctuation removal, as coco-caption does", coco),
        Tokeniser("simple", 1, "lower", "runs of letters, digits and marks, for any script with spaces", simple),
        Tokeniser("char", 1, "lower", "single characters, for scripts without spaces", characters),
        Tokeniser("none", 1, "mixed", "split at white space only: the captions are tokens already", str.split),
    )
}


def find(name: str) -> Tokeniser:
    """Returns a tokeniser by name.

    Raises:
        DataError: There is none of that name.
    """
    if name not in TOKENISERS:
        raise DataError(f"tokeniser '{name}' is not known{nearest(name, TOKENISERS)} (one of: {', '.join(TOKENISERS)})")
    return TOKENISERS[name]
