"""Names of classes as files state them: a property of an ONNX file, or a file of the user's.

Exporting programs write them as a Python dict, as JSON or as a list. They are read by patterns: nothing is evaluated.
"""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from capsmith.core.errors import ConfigError, because, escaped
from capsmith.core.readers.regular_files import SMALL_FILE, read_bytes

_STRING = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
_PAIR = re.compile(rf"\s*['\"]?(\d{{1,7}})['\"]?\s*:\s*({_STRING})\s*(?:,|$)", re.DOTALL)
_ITEM = re.compile(rf"\s*({_STRING})\s*(?:,|$)", re.DOTALL)
_MOST, _LONGEST = 100_000, 100  # names, and characters of one
_LARGEST_YAML = 256 * 1024  # characters; it is read slowly
_NESTING, _MOST_NESTING = re.compile(r"[\[{]|[-?:] +(?=[-?:] )"), 500  # PyYAML's time grows with the square of depth


def parsed_names(text: str) -> list[str] | None:
    """Returns the names that a property of a file states, in the order of their numbers; None if it states none.

    Args:
        text: Such as ``{0: 'person', 1: 'car'}``, ``["person", "car"]`` or ``person,car``.
    """
    text = text.strip()
    if not text or len(text) > SMALL_FILE:
        return None
    if text[0] == "{" and text[-1] == "}":
        return _numbered({int(number): _unquoted(name) for number, name in _matches(_PAIR, text[1:-1])})
    if text[0] == "[" and text[-1] == "]":
        return _checked([_unquoted(match[0]) for match in _matches(_ITEM, text[1:-1])])
    if re.search(r"[(){}\[\]:;=\"'`\\]", text):
        return None
    return _checked([name.strip() for name in re.split(r"[,\n]", text)])


def _matches(pattern: re.Pattern[str], text: str) -> list[tuple[str, ...]]:
    """Returns the groups of matches that together make up a text; an empty list if there is anything else in it."""
    groups: list[tuple[str, ...]] = []
    place = 0
    while place < len(text.rstrip()):
        match = pattern.match(text, place)
        if match is None or len(groups) > _MOST:
            return []
        groups.append(match.groups())
        place = match.end()
    return groups


def _unquoted(quoted: str) -> str:
    return re.sub(r"\\(['\"\\])", r"\1", quoted[1:-1])


def _numbered(names: dict[int, str]) -> list[str] | None:
    if sorted(names) != list(range(len(names))):
        return None
    return _checked([names[number] for number in range(len(names))])


def _checked(names: Sequence[Any]) -> list[str] | None:
    if not names or len(names) > _MOST or not all(isinstance(name, str) for name in names):
        return None
    clean = [escaped(" ".join(name.split()))[:_LONGEST] for name in names]
    return clean if all(clean) else None


def read_names(path: Path) -> list[str]:
    """Reads names of classes: one a line, or a JSON or YAML file with a list or with names by number.

    The names may stand under ``names``, as in the ``data.yaml`` of a YOLO data set, or under ``id2label``.

    Raises:
        ConfigError: The file cannot be read, or holds no names.
    """
    try:
        text = read_bytes(path, SMALL_FILE).decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"cannot read the names of classes in {path}: {because(error)}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} holds no names of classes: it is not UTF-8 text") from error
    names = _READERS.get(path.suffix.lower(), _of_lines)(text)
    if names is None:
        raise ConfigError(
            f"{path} holds no names of classes: one a line is expected, or a list in a .json or .yaml file"
        )
    return names


def _of_lines(text: str) -> list[str] | None:
    return _checked([line.strip() for line in text.splitlines() if line.strip()])


def _of_json(text: str) -> list[str] | None:
    try:
        return _of_value(json.loads(text))
    except (ValueError, RecursionError):
        return None


def _of_yaml(text: str) -> list[str] | None:
    if len(text) > _LARGEST_YAML or len(_NESTING.findall(text)) > _MOST_NESTING:
        return None
    try:
        return _of_value(yaml.load(text, Loader=yaml.BaseLoader))  # noqa: S506  makes strings, lists and dicts only
    except (yaml.YAMLError, ValueError, TypeError, RecursionError):
        return None


def _of_value(value: Any) -> list[str] | None:
    if isinstance(value, dict):
        value = value.get("id2label", value.get("names", value))
    if isinstance(value, dict):
        if not all(isinstance(key, str) and key.isdecimal() and len(key) < 8 for key in value):
            return None
        return _numbered({int(key): name for key, name in value.items() if isinstance(name, str)})
    return _checked(value) if isinstance(value, list) else None


_READERS: dict[str, Callable[[str], list[str] | None]] = {".json": _of_json, ".yaml": _of_yaml, ".yml": _of_yaml}
