"""JSON, read strictly: bounded depth and size, no repeated keys, and in our own files no NaN and no huge numbers."""

import json
import math
import re
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from capsmith.core.errors import CapsmithError, escaped
from capsmith.core.readers.regular_files import LARGE_FILE, read_bytes

DEEPEST = 200
"""Lists and objects within each other; Keras's deepest models need about 60."""
_LONGEST_WHOLE = 20  # characters of a 64-bit number with its sign
_HALF = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F]")
_SHOWN = 60

Schema = TypeVar("Schema", bound="FileSchema")


class FileSchema(BaseModel):
    """What one of our own JSON files must hold: types as they stand, no conversions, finite numbers.

    Keys that a schema does not name are passed over, so that files of later versions can be read.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)

    @classmethod
    def check(
        cls: type[Schema],
        value: Any,
        where: object,
        error: type[CapsmithError],
        advice: str,
        says: str = "is damaged",
    ) -> Schema:
        """Returns a value as this schema.

        Args:
            value: What ``parse_json`` gave.
            where: What to call its file in a message.
            error: What to raise.
            advice: What to do when it is damaged; ends the message.
            says: What the message says of the file.

        Raises:
            CapsmithError: As ``error``: a key is missing, or a value is not of its type or out of its range.
        """
        try:
            return cls.model_validate(value)
        except ValidationError as cause:
            raise error(f"{where} {says}: {first_problem(cause)}; {advice}") from cause


def first_problem(error: ValidationError) -> str:
    """Returns the first thing that a schema found wrong, such as ``sizes.3: input should be a valid integer``."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(escaped(str(part))[:_SHOWN] for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    return (f"{place}: " if place else "") + message[:1].lower() + message[1:]


def read_json(path: Path, error: type[CapsmithError] = CapsmithError, strict: bool = True) -> Any:
    """Reads a JSON file.

    Args:
        path: The file.
        error: What to raise when it is missing or damaged.
        strict: As in ``parse_json``.

    Raises:
        CapsmithError: As ``error``: it cannot be read, or is not valid JSON.
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
        strict: For files that capsmith wrote: also refuse NaN and infinity, whole numbers beyond 64 bits, and halves
            of surrogate pairs. Files that people made have such things in columns that nobody asks for.

    Raises:
        ValueError: It is not valid JSON, repeats a key, or is nested more than ``DEEPEST`` levels deep.
    """
    text = raw.decode("utf-8-sig") if isinstance(raw, bytes) else raw
    if len(text) > 2 * DEEPEST:  # else it cannot be so deep
        _require_shallow(raw if isinstance(raw, bytes) else raw.encode("utf-8", "surrogatepass"))
    if not strict:
        return _loads(text)
    if "\\u" in text and (half := _HALF.search(text.replace("\\\\", ""))):
        raise ValueError(f"{half[0]} is half of a surrogate pair")
    return _loads(text, parse_constant=_refuse, parse_float=_finite, parse_int=_whole)


def _loads(text: str, **hooks: Any) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_without_repeats, **hooks)
    except RecursionError as error:  # the caller's own stack is deep
        raise ValueError("nested too deep") from error


def _require_shallow(raw: bytes) -> None:
    """Counts levels before anything is built: a parser that recurses would meet the end of its stack."""
    kept = raw.replace(b"\\\\", b"").replace(b'\\"', b"").translate(_AS_LIST, _NO_STRUCTURE)
    brackets = re.sub(rb'"[^"]*"?', b"", kept)
    for _ in range(DEEPEST):
        outer = brackets.replace(b"[]", b"")  # without the innermost level
        if len(outer) == len(brackets):
            break
        brackets = outer
    if brackets.count(b"[") > (DEEPEST if b"[]" not in brackets else 0):
        raise ValueError(f"nested more than {DEEPEST} levels deep")


_AS_LIST = bytes.maketrans(b"{}", b"[]")
_NO_STRUCTURE = bytes(code for code in range(256) if code not in b'[]{}"')


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice[:_SHOWN]!r} stands twice")
    return found


def _refuse(text: str) -> float:
    raise ValueError(f"{text} is not a number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:_SHOWN]} is too large a number")
    return number


def _whole(text: str) -> int:
    if len(text) > _LONGEST_WHOLE or not -(2**63) <= (number := int(text)) < 2**63:
        raise ValueError(f"{text[:_SHOWN]} is too large a number")
    return number
