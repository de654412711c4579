"""Named and versioned tokenisers.

The version is part of every signature. It changes when the tokens of any caption change.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from capsmith.core.errors import DataError
from capsmith.core.spelling import nearest
from capsmith.core.unicode import nfc

_WORD = re.compile(r"[^\s'’-]+(?:['’-][^\s'’-]+)*")


@dataclass(frozen=True)
class Tokeniser:
    """A tokeniser.

    Attributes:
        name: The name, as in ``tokeniser="coco"``.
        version: Increases when the output changes.
        case: ``lower`` or ``mixed``, for the signature.
        summary: One line of description.
        split: The function from a caption to its tokens.
    """

    name: str
    version: int
    case: str
    summary: str
    split: Callable[[str], list[str]]

    def __call__(self, caption: str) -> list[str]:
        """Returns the tokens of a caption."""
        return self.split(caption)

    @property
    def tag(self) -> str:
        """The name and version, such as ``coco.1``."""
        return f"{self.name}.{self.version}"


class _Separators(dict[int, str]):
    """For ``str.translate``: maps all but letters, digits, marks, apostrophes and hyphens to a space."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        keep = character in "'’-" or unicodedata.category(character)[0] in "LNM"
        self[code] = character if keep else " "
        return self[code]


_SEPARATORS = _Separators()


def coco(caption: str) -> list[str]:
    """Returns the Penn Treebank tokens of coco-caption: see ``capsmith.metrics.ptb``."""
    from capsmith.metrics import ptb  # compiles its rules on import

    return ptb.coco(caption)


def simple(caption: str) -> list[str]:
    """Returns runs of letters, digits and marks in lower case, with apostrophes and hyphens inside words."""
    return _WORD.findall(nfc(caption).lower().translate(_SEPARATORS))


def characters(caption: str) -> list[str]:
    """Returns single letters, digits and marks in lower case, for languages written without spaces."""
    return [c for c in nfc(caption).lower() if unicodedata.category(c)[0] in "LNM"]


TOKENISERS = {
    tokeniser.name: tokeniser
    for tokeniser in (
        Tokeniser("coco", 1, "lower", "Penn Treebank and punctuation removal, as coco-caption does", coco),
        Tokeniser("simple", 1, "lower", "runs of letters, digits and marks, for any script with spaces", simple),
        Tokeniser("char", 1, "lower", "single characters, for scripts without spaces", characters),
        Tokeniser("none", 1, "mixed", "split at white space only, for captions that are tokenised", str.split),
    )
}


def find(name: str) -> Tokeniser:
    """Returns a tokeniser by name.

    Raises:
        DataError: The name is not known.
    """
    if name not in TOKENISERS:
        raise DataError(f"tokeniser '{name}' is not known{nearest(name, TOKENISERS)} (one of: {', '.join(TOKENISERS)})")
    return TOKENISERS[name]
