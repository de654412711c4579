"""Errors that user input causes.

Each message is one clear line: what is wrong, where, and what to do. The command line prints it and exits with code
2; ``--debug`` shows the traceback.
"""

from collections.abc import Iterator
from contextlib import contextmanager


class CapsmithError(Exception):
    """An error in the input of capsmith. The message is written for users."""


class ConfigError(CapsmithError):
    """A config cannot be read or is not valid."""


class DataError(CapsmithError):
    """Captions, splits or word vectors cannot be used."""


class ImageError(CapsmithError):
    """An image cannot be decoded."""


class FeatureError(CapsmithError):
    """A feature store is damaged, or was created by another encoder."""


class CheckpointError(CapsmithError):
    """A run directory is incomplete, damaged, or belongs to another model."""


class PluginError(CapsmithError):
    """A plugin cannot be loaded, is not loaded, or does not implement what its kind of component requires."""


class MissingExtraError(CapsmithError):
    """An optional package is required.

    Args:
        package: The package that could not be imported.
        extra: The capsmith extra that installs it, as in ``pip install 'capsmith[coco]'``.
        purpose: What requires it, for the message.
    """

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {package}: pip install 'capsmith[{extra}]'")


def one_line(error: BaseException) -> str:
    """Returns an error's message on one line, or the name of its type if the message is empty."""
    return " ".join(str(error).split()) or type(error).__name__


def printable(error: BaseException) -> str:
    r"""Returns an error's message in a form that is safe for a terminal: file names can hold any character.

    Characters that are not printable, such as the escape that moves the cursor, become ``\x1b`` and the like. Long
    words and lines are shortened. Only a ``ConfigError`` keeps several lines, one for each of its errors.
    """
    text = escaped(str(error), "\n" if isinstance(error, ConfigError) else "")
    return "\n".join(shortened(line) for line in text.split("\n"))


_PRINTED = ("Zs", "Cn", "Co")  # Unicode categories: other spaces, and characters newer than this Python's Unicode data
_JOINERS = "\u200c\u200d"  # used in Persian words and emoji


def escaped(text: str, kept: str = "") -> str:
    r"""Returns a text on one line, without characters that control a terminal.

    Line ends, tabs, escapes, marks that change the direction of text, and bytes that are not UTF-8 become ``\n``,
    ``\x1b``, ``\u202e`` and the like.

    Args:
        text: Any text.
        kept: Characters that stay unchanged.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in kept or _harmless(c) else repr(c)[1:-1] for c in text)


def _harmless(character: str) -> bool:
    import unicodedata

    return character in _JOINERS or unicodedata.category(character) in _PRINTED


_LONGEST_WORD, _LONGEST_LINE = 160, 680


def shortened(line: str) -> str:
    """Shortens a line: cuts the middle out of long words, then out of the line if it is still too long."""
    if len(line) <= _LONGEST_WORD:
        return line
    return _without_middle(" ".join(_without_middle(word, _LONGEST_WORD) for word in line.split(" ")), _LONGEST_LINE)


def _without_middle(text: str, length: int) -> str:
    half = length // 2
    return text if len(text) <= length else f"{text[:half]}…{text[1 - half :]}"


def because(error: OSError, advice: str = "") -> str:
    """Returns why a file cannot be read, followed by the advice unless permission is denied."""
    denied = isinstance(error, PermissionError)
    return f"{error.strerror or one_line(error)}" + (f"; {advice}" if advice and not denied else "")


def out_of_memory(error: BaseException) -> bool:
    """Returns whether an error of any backend means that memory ran out."""
    text = f"{type(error).__name__} {error}".lower()
    signs = ("resourceexhausted", "resource_exhausted", "outofmemory", "out of memory", "not enough memory")
    return isinstance(error, MemoryError) or any(sign in text for sign in signs) or "can't allocate memory" in text


@contextmanager
def memory_advice(key: str, value: int, otherwise: str = "") -> Iterator[None]:
    """Turns an out-of-memory error inside the block into an error with advice.

    Args:
        key: The setting that controls how much is processed at once.
        value: Its value.
        otherwise: Another way to use less memory, for the message.

    Raises:
        CapsmithError: Memory ran out.
    """
    try:
        yield
    except Exception as error:
        if not out_of_memory(error):
            raise
        less = f"try {value // 2}" if value > 1 else "it cannot be smaller"
        more = f", or {otherwise}" if otherwise else ""
        raise CapsmithError(f"out of memory: {key} is {value}, {less}{more}") from error
