"""Conversion and check of one value against a JSON Schema, as pydantic does it in its lax mode, without pydantic.

Covers the types that the settings of captioning have: integer, number, boolean, text, path, list of texts, one of
several words, and null. Messages are pydantic's; ``tests/core/test_plain_settings.py`` compares both.
"""

import math
import operator
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from capsmith.core.setting_errors import EMPTY, check_characters, check_integer, invalid, not_allowed

Schema = Mapping[str, Any]
"""The JSON Schema of a field."""
_INTEGER = re.compile(r"[+-]?\d+(?:_\d+)*(?:\.0+)?", re.ASCII)
_LONGEST_INTEGER = 4300  # digits that Python converts
_TRUE, _FALSE = {"1", "on", "t", "true", "y", "yes"}, {"0", "off", "f", "false", "n", "no"}
_NOT_UNICODE = "input should be a valid string, unable to parse raw data as a unicode string"
_BOUNDS: tuple[tuple[str, Callable[[Any, Any], bool], str], ...] = (
    ("maximum", operator.le, "less than or equal to"),
    ("exclusiveMaximum", operator.lt, "less than"),
    ("minimum", operator.ge, "greater than or equal to"),
    ("exclusiveMinimum", operator.gt, "greater than"),
)


class InvalidValue(ValueError):
    """A value is not valid. Each argument is a complete line: there are several for a list."""


def converted(value: Any, schema: Schema, path: str) -> Any:
    """Returns a value in the type of its field.

    Args:
        value: The value, in any form that pydantic converts, such as ``"5"`` for an integer.
        schema: The field.
        path: The name of the field in messages.

    Raises:
        InvalidValue: The value has another type, is out of range, or is not an allowed word.
    """
    choices = schema.get("anyOf")
    if choices is not None:
        if value is None:
            return None
        schema = next(choice for choice in choices if choice.get("type") != "null")
    allowed = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if allowed is not None:
        return _one_of(value, allowed, path)
    if schema["type"] == "array":
        return _strings(value, path)
    try:
        result = _TYPES[schema.get("format") or schema["type"]](value)
        for key, holds, words in _BOUNDS:
            if key in schema and not holds(result, schema[key]):
                raise _Unreadable(f"input should be {words} {_number_text(schema[key])}")
    except _Unreadable as error:
        raise InvalidValue(invalid(path, str(error), value)) from None
    try:
        return check_integer(check_characters(result))
    except ValueError as error:
        raise InvalidValue(f"{path}: {error}") from None


def _one_of(value: Any, allowed: list[str], path: str) -> str:
    try:
        if isinstance(value, str) and _text(value) in allowed:
            return value
    except _Unreadable as error:
        raise InvalidValue(invalid(path, str(error), value)) from None
    raise InvalidValue(not_allowed(path, value, allowed))


def _strings(value: Any, path: str) -> tuple[str, ...]:
    items = None if isinstance(value, str | bytes | bytearray | Mapping) else _call(list, value)
    if items is None:
        raise InvalidValue(invalid(path, "input should be a valid tuple", value))
    texts, lines = [], []
    for number, item in enumerate(items):
        try:
            texts.append(_string(item))
        except _Unreadable as error:
            lines.append(invalid(f"{path}.{number}", str(error), item))
    if lines:
        raise InvalidValue(*lines)
    return tuple(texts)


class _Unreadable(ValueError):
    """A value cannot be converted; the message lacks the path and the value."""


def _integer(value: Any) -> int:
    if isinstance(value, str | bytes):
        text = _text(value).strip()
        if not _INTEGER.fullmatch(text):
            raise _Unreadable("input should be a valid integer, unable to parse string as an integer")
        digits = text.partition(".")[0]
        if len(digits) > _LONGEST_INTEGER:
            raise _Unreadable("unable to parse input string as an integer, exceeded maximum size")
        return int(digits)
    if (index := _call(operator.index, value)) is not None:
        return int(index)
    number = _call(float, value) if hasattr(value, "__float__") else None
    if number is None:
        raise _Unreadable("input should be a valid integer")
    if not math.isfinite(number):
        raise _Unreadable("input should be a finite number")
    if number % 1:
        raise _Unreadable("input should be a valid integer, got a number with a fractional part")
    if not -(2**63) <= number < 2**63:
        raise _Unreadable("unable to parse input string as an integer, exceeded maximum size")
    return int(number)


def _number(value: Any) -> float:
    if isinstance(value, str | bytes):
        text = _text(value).strip()
        number = _call(float, text) if text.isascii() else None
        if number is None:
            raise _Unreadable("input should be a valid number, unable to parse string as a number")
    else:
        number = _call(float, value) if hasattr(value, "__float__") or hasattr(value, "__index__") else None
        if number is None:
            raise _Unreadable("input should be a valid number")
    if not math.isfinite(number):
        raise _Unreadable("input should be a finite number")
    return number


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str | bytes):
        word = _text(value).lower()
    else:
        try:
            number = _integer(value)
        except _Unreadable:
            raise _Unreadable("input should be a valid boolean") from None
        if not -(2**63) <= number < 2**63:
            raise _Unreadable("input should be a valid boolean")
        word = str(number)
    if word not in _TRUE | _FALSE:
        raise _Unreadable("input should be a valid boolean, unable to interpret input")
    return word in _TRUE


def _string(value: Any) -> str:
    if not isinstance(value, str | bytes | bytearray):
        raise _Unreadable("input should be a valid string")
    try:
        return str(value) if isinstance(value, str) else value.decode()
    except UnicodeDecodeError:
        raise _Unreadable(_NOT_UNICODE) from None


def _path(value: Any) -> Path:
    if not isinstance(value, str | os.PathLike):
        raise _Unreadable("input is not a valid path")
    return Path(os.path.expanduser(value)) if value != "" else Path(EMPTY)


_TYPES: dict[str, Callable[[Any], Any]] = {
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "string": _string,
    "path": _path,
}


def _text(value: str | bytes) -> str:
    """Returns the text that is read as a number or a word."""
    try:
        return value.encode().decode() if isinstance(value, str) else value.decode(errors="replace")
    except UnicodeEncodeError:  # a lone surrogate
        raise _Unreadable(_NOT_UNICODE) from None


def _call(convert: Callable[[Any], Any], value: Any) -> Any:
    try:
        return convert(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _number_text(bound: float) -> str:
    return str(int(bound)) if bound == int(bound) else str(bound)
