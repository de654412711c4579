"""Strict JSON: bounded depth and size, no repeated keys, and in capsmith's own files no NaN and no huge numbers."""

import json
import math
import re
from pathlib import Path
from typing import Any

from capsmith.core.errors import CapsmithError, escaped
from capsmith.core.readers.regular_files import LARGE_FILE, read_bytes

MAX_DEPTH = 200
"""Levels of nested lists and objects; Keras's deepest models need about 60."""
_MAX_INTEGER_LENGTH = 20  # characters of a 64-bit integer with its sign
_LONE_SURROGATE = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F]")
_MAX_SHOWN = 60  # characters of a value in a message


def read_json(path: Path, error: type[CapsmithError] = CapsmithError, strict: bool = True) -> Any:
    """Reads a JSON file.

    Args:
        path: The file.
        error: The exception to raise.
        strict: As in ``parse_json``.

    Raises:
        CapsmithError: As ``error``: the file cannot be read, or is not valid JSON.
    """
    try:
        return parse_json(read_bytes(path, LARGE_FILE), strict)
    except OSError as cause:
        raise error(f"cannot read {path}: {cause.strerror or cause}") from cause
    except ValueError as cause:
        raise error(f"{path} is not valid JSON: {escaped(str(cause))[:300]}") from cause


def parse_json(raw: bytes | str, strict: bool = True) -> Any:
    """Parses JSON.

    Args:
        raw: The text; bytes are UTF-8, with or without a byte order mark.
        strict: For files that capsmith wrote: also refuse NaN, infinity, integers beyond 64 bits, and lone
            surrogates. Files from elsewhere may contain them in columns that capsmith does not read.

    Raises:
        ValueError: The text is not valid JSON, repeats a key, or is nested more than ``MAX_DEPTH`` levels deep.
    """
    text = raw.decode("utf-8-sig") if isinstance(raw, bytes) else raw
    if len(text) > 2 * MAX_DEPTH:  # shorter texts cannot be that deep
        _require_shallow(raw if isinstance(raw, bytes) else raw.encode("utf-8", "surrogatepass"))
    if not strict:
        return _loads(text)
    if "\\u" in text and (half := _LONE_SURROGATE.search(text.replace("\\\\", ""))):
        raise ValueError(f"{half[0]} is a lone surrogate")
    return _loads(text, parse_constant=_refuse, parse_float=_finite_float, parse_int=_integer)


def _loads(text: str, **hooks: Any) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_without_repeats, **hooks)
    except RecursionError as error:  # the caller's stack is already deep
        raise ValueError("nested too deeply") from error


def _require_shallow(raw: bytes) -> None:
    """Counts the levels before parsing: a recursive parser would overflow its stack."""
    structure = raw.replace(b"\\\\", b"").replace(b'\\"', b"").translate(_AS_LIST, _NO_STRUCTURE)
    brackets = re.sub(rb'"[^"]*"?', b"", structure)
    for _ in range(MAX_DEPTH):
        outer = brackets.replace(b"[]", b"")  # removes the innermost level
        if len(outer) == len(brackets):
            break
        brackets = outer
    if brackets.count(b"[") > (MAX_DEPTH if b"[]" not in brackets else 0):
        raise ValueError(f"nested more than {MAX_DEPTH} levels deep")


_AS_LIST = bytes.maketrans(b"{}", b"[]")
_NO_STRUCTURE = bytes(code for code in range(256) if code not in b'[]{}"')


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        keys: set[str] = set()
        repeated = next(key for key, _ in pairs if key in keys or keys.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {repeated[:_MAX_SHOWN]!r} is repeated")
    return result


def _refuse(text: str) -> float:
    raise ValueError(f"{text} is not a number")


def _finite_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:_MAX_SHOWN]} is too large a number")
    return number


def _integer(text: str) -> int:
    if len(text) > _MAX_INTEGER_LENGTH or not -(2**63) <= (number := int(text)) < 2**63:
        raise ValueError(f"{text[:_MAX_SHOWN]} is too large a number")
    return number
