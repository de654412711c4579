"""Reading and writing YAML configs. Reading executes nothing."""

import re
from collections.abc import Hashable
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from capsmith.core.errors import ConfigError, escaped, one_line
from capsmith.core.readers.regular_files import read_text

VALUE_ERRORS = (ValueError, TypeError, AttributeError)
"""Exceptions that PyYAML raises for values such as 2024-13-45, !!int x, !!set [x] and !!timestamp x."""
_MAX_VALUES = 10_000
_MAX_FILE_SIZE = 256 * 1024  # bytes; the largest shipped config has 6,000
_MAX_DIGITS = 400  # of a number; Python refuses to print integers of more than 4,300 digits
_MAX_MESSAGE = 400  # characters of a problem in a message
_NUMBER_TAGS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_NUMBER = re.compile(r"^[-+]?(?:[0-9][0-9_]*)(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)$")
"""Numbers such as 1e-3; PyYAML itself only reads 1.0e-3 as a number."""


def read_yaml(path: Path) -> dict[str, Any]:
    """Reads a YAML mapping. Tags, repeated keys and keys that are not strings are errors.

    Raises:
        ConfigError: The file cannot be read, is not YAML, or is not a mapping.
    """
    try:
        values = parse_yaml(read_text(path, _MAX_FILE_SIZE))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text (byte {error.start})") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or one_line(error)
        raise ConfigError(f"{path}{line}: not valid YAML: {escaped(problem)[:_MAX_MESSAGE]}") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: nested too deeply") from error
    except VALUE_ERRORS as error:
        raise ConfigError(f"{path}: a value cannot be read: {one_line(error)[:_MAX_MESSAGE]}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: a config is a mapping of sections (data:, decoder:, …)")
    return values


def parse_yaml(text: str) -> Any:
    """Parses YAML with a bounded number of values: nested aliases could stand for more than memory can hold.

    Raises:
        yaml.YAMLError: The text is not valid YAML, or has too many values.
    """
    values = yaml.load(text, Loader=_loader())  # noqa: S506  a SafeLoader
    pending = [values]
    limit = max(_MAX_VALUES, len(text))  # a value that is written out takes at least one character
    for _ in range(limit):
        if not pending:
            return values
        value = pending.pop()
        pending += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    raise yaml.YAMLError(f"more than {limit:,} values; each use of an alias (*name) counts all of its values")


def dump_yaml(values: Any) -> str:
    """Writes YAML that ``parse_yaml`` reads as the same values: a folder called 1e3 is quoted."""
    text = yaml.dump(values, Dumper=_dumper(), sort_keys=False, allow_unicode=True)
    if escaped(text, "\n\t") != text:  # for example U+0085, a line end in YAML, or marks that change text direction
        text = yaml.dump(values, Dumper=_dumper(), sort_keys=False)
    return text


@cache
def _dumper() -> type[yaml.SafeDumper]:
    class Dumper(yaml.SafeDumper):
        """PyYAML's safe dumper, which also quotes strings that the loader below would read as numbers."""

    Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBER, list("-+0123456789"))
    return Dumper


@cache
def _loader() -> type[yaml.SafeLoader]:
    class Loader(yaml.SafeLoader):
        """PyYAML's safe loader, which also reads 1e-3 as a number and rejects repeated and non-string keys."""

        def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
            if node.tag in _NUMBER_TAGS and len(str(node.value)) > _MAX_DIGITS:
                problem = f"a number of {len(str(node.value)):,} digits"
                raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
            try:
                return super().construct_object(node, deep)
            except VALUE_ERRORS as error:
                raise yaml.constructor.ConstructorError(None, None, one_line(error), node.start_mark) from error

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
            keys: set[Any] = set()
            for key_node, _ in node.value:
                key = self.construct_object(key_node, deep=True)
                if not isinstance(key, str):
                    problem = f"the key {key_node.value!r} is read as {key!r}; put it in quotes"
                    raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
                if key in keys:
                    problem = f"the key '{key}' is repeated"
                    raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
                keys.add(key)
            return super().construct_mapping(node, deep)

    Loader.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBER, list("-+0123456789"))
    return Loader
