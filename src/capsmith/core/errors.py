"""What goes wrong through the user's input.

Each message is one clear line: what is wrong, where, and what to do about it. The command line prints it and
leaves with exit code 2; a traceback is shown only with ``--debug``.
"""

from collections.abc import Iterator
from contextlib import contextmanager


class CapsmithError(Exception):
    """A mistake in what capsmith was given. The message is meant for people."""


class ConfigError(CapsmithError):
    """A config that cannot be read, or that says something not allowed."""


class DataError(CapsmithError):
    """Captions, splits or word vectors that cannot be used."""


class ImageError(CapsmithError):
    """An image that cannot be decoded."""


class FeatureError(CapsmithError):
    """A feature store that is damaged, or that another encoder made."""


class CheckpointError(CapsmithError):
    """A run directory that is incomplete, damaged, or of another model."""


class PluginError(CapsmithError):
    """A plugin that cannot be loaded, is not loaded, or does not do what its kind of component has to."""


class MissingExtraError(CapsmithError):
    """An optional package is needed.

    Args:
        package: The package that could not be imported.
        extra: The capsmith extra that brings it, as in ``pip install 'capsmith[coco]'``.
        purpose: What needs it, for the message.
    """

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {package}: pip install 'capsmith[{extra}]'")


def one_line(error: BaseException) -> str:
    """Returns the error's message on one line, or the name of its type where it has none."""
    return " ".join(str(error).split()) or type(error).__name__


def printable(error: BaseException) -> str:
    r"""Returns the error's message as a terminal may show it: names of files can hold any character, and be long.

    Characters that are not printable, such as the escape that moves the cursor, become ``\x1b`` and the like. Only
    a ``ConfigError`` has more than one line, where it lists several errors.
    """
    text = escaped(str(error), "\n" if isinstance(error, ConfigError) else "")
    return "\n".join(shortened(line) for line in text.split("\n"))


_HARMLESS = ("Zs", "Cn", "Co")  # other blanks, and letters that this Python does not know yet
_JOINERS = "\u200c\u200d"  # Persian words and emoji are written with them


def escaped(text: str, kept: str = "") -> str:
    r"""Returns a text that stands on one line of a terminal and does nothing else there.

    Line ends, tabs, the escape that moves the cursor, marks that turn the direction of writing, and bytes that are not
    UTF-8 become ``\n``, ``\x1b``, ``\u202e`` and the like.

    Args:
        text: Any text.
        kept: Characters that stay as they are.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in kept or _harmless(c) else repr(c)[1:-1] for c in text)


def _harmless(character: str) -> bool:
    import unicodedata

    return character in _JOINERS or unicodedata.category(character) in _HARMLESS


_LONGEST_WORD, _LONGEST_LINE = 160, 680


def shortened(line: str) -> str:
    """Returns a line in which the middle of long names, and of the line if it is still long, is left out."""
    if len(line) <= _LONGEST_WORD:
        return line
    return _cut(" ".join(_cut(word, _LONGEST_WORD) for word in line.split(" ")), _LONGEST_LINE)


def _cut(text: str, most: int) -> str:
    half = most // 2
    return text if len(text) <= most else f"{text[:half]}…{text[1 - half :]}"


def because(error: OSError, advice: str = "") -> str:
    """Returns why a file cannot be read, and what to do: no advice helps where it may not be read."""
    denied = isinstance(error, PermissionError)
    return f"{error.strerror or one_line(error)}" + (f"; {advice}" if advice and not denied else "")


def out_of_memory(error: BaseException) -> bool:
    """Returns whether an error says that memory is used up: each backend says so in its own way."""
    said = f"{type(error).__name__} {error}".lower()
    signs = ("resourceexhausted", "resource_exhausted", "outofmemory", "out of memory", "not enough memory")
    return isinstance(error, MemoryError) or any(sign in said for sign in signs) or "can't allocate memory" in said


@contextmanager
def memory_for(key: str, value: int, otherwise: str = "") -> Iterator[None]:
    """Turns running out of memory into advice.

    Args:
        key: The setting that says how much is done at once.
        value: What it is.
        otherwise: What else makes it less, for the message.

    Raises:
        CapsmithError: The memory was used up inside.
    """
    try:
        yield
    except Exception as error:
        if not out_of_memory(error):
            raise
        less = f"try {value // 2}" if value > 1 else "it cannot be less"
        more = f", or {otherwise}" if otherwise else ""
        raise CapsmithError(f"out of memory: {key} is {value}, {less}{more}") from error
