"""What is wrong with a value of a config, as one line such as ``decoding.beam_size: … (given: 0)``.

``schema`` (settings with pydantic) and ``plain_settings`` (without it) write the same lines.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from capsmith.core.errors import escaped
from capsmith.core.spelling import nearest

EMPTY = "\0"  # stands for an empty path; not a valid file name
_LONGEST, _LONGEST_KEY, _LONGEST_VALUE = 600, 80, 80  # characters of a line, and of a key and a value in it


def invalid(path: str, message: str, value: Any) -> str:
    """Returns the line for a value of the wrong type or out of range."""
    return f"{path}: {message} (given: {shown(value)})"


def not_allowed(path: str, value: Any, allowed: Sequence[str]) -> str:
    """Returns the line for a value that is none of the allowed words."""
    return f"{path}: {shown(value)} is not allowed{nearest(shown_text(value), allowed)} (one of: {', '.join(allowed)})"


def unknown_key(location: Sequence[str], fields: Iterable[str], renamed: Mapping[str, str], root: str) -> str:
    """Returns the line for a key that a section does not take.

    Args:
        location: The names of the sections, and the key.
        fields: The keys that the section takes.
        renamed: Its keys from earlier versions, as in ``Settings.renamed``.
        root: The name of the config itself.
    """
    *sections, key = location
    path, fields = ".".join(location), list(fields)
    if (new := renamed.get(key)) is not None:
        return f"{path}: {new}" if " " in new else f"{path} is now called {'.'.join([*sections, new])}"
    return f"{path}: unknown key{nearest(key, fields)} ({'.'.join(sections) or root} takes: {', '.join(fields)})"


def section_needed(path: str, value: Any) -> str:
    """Returns the line for a value in place of a section."""
    return f"{path}: a section of keys and values is needed (given: {shown(value)})"


def shown(value: Any) -> str:
    """Returns the beginning of a value's representation."""
    try:
        return repr(value)[:_LONGEST_VALUE]
    except ValueError:  # Python converts no integer of more than 4,300 digits
        return "a number of more than 4,300 digits"


def shown_text(value: Any) -> str:
    """Returns a value as text, to compare it with words."""
    try:
        return str(value)
    except ValueError:
        return ""


def as_key(key: object) -> str:
    """Returns a key for a message."""
    return escaped(shown_text(key))[:_LONGEST_KEY]


def as_line(text: str) -> str:
    """Returns a message on one line, without control characters and of bounded length."""
    line = escaped(text)
    return line if len(text) <= _LONGEST else line[:_LONGEST] + " …"


def check_characters(value: Any) -> Any:
    """Returns a value, unless it is a text or path that is empty or cannot be saved as UTF-8.

    Raises:
        ValueError: A path is empty, or there are control characters or lone surrogates.
    """
    if isinstance(value, Path) and str(value) == EMPTY:
        raise ValueError("the path is empty; write . for the current folder")
    if isinstance(value, str | Path) and any(ord(c) < 32 or "\ud800" <= c <= "\udfff" for c in str(value)):
        raise ValueError(f"{str(value)!r:.80} contains a control character")
    return value


def check_integer(value: Any) -> Any:
    """Returns a value, unless it is an integer beyond 2**53, which no array, loop or generator accepts.

    Raises:
        ValueError: It is such an integer.
    """
    if type(value) is int and abs(value) >= 2**53:
        raise ValueError(f"{'-' * (value < 0)}{abs(value):.3g} is too large" if abs(value) < 1e300 else "too large")
    return value
