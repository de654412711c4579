"""YAML as people write it in configs, read without running anything."""

import re
from collections.abc import Hashable
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from capsmith.core.errors import ConfigError, escaped, one_line
from capsmith.core.readers.regular_files import read_text


def read_yaml(path: Path) -> dict[str, Any]:
    """Reads a YAML mapping; tags, repeated keys and keys that are not words are errors."""
    try:
        values = parse(read_text(path, _LARGEST_FILE))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text (byte {error.start})") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or one_line(error)
        raise ConfigError(f"{path}{line}: not valid YAML: {escaped(problem)[:_LONGEST]}") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: nested too deep") from error
    except VALUE_ERRORS as error:
        raise ConfigError(f"{path}: a value cannot be read: {one_line(error)[:_LONGEST]}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: a config is a mapping of sections (data:, decoder:, …)")
    return values


VALUE_ERRORS = (ValueError, TypeError, AttributeError)  # PyYAML on 2024-13-45, !!int x, !!set [x], !!timestamp x


def parse(text: str) -> Any:
    """Reads YAML of a sensible size: aliases of aliases, or of themselves, can stand for more than memory holds."""
    values = yaml.load(text, Loader=_loader())  # noqa: S506  a SafeLoader
    waiting = [values]
    most = max(_MOST_VALUES, len(text))  # what is written out takes a character at least
    for _ in range(most):
        if not waiting:
            return values
        value = waiting.pop()
        waiting += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    raise yaml.YAMLError(f"more than {most:,} values; each use of an alias (*name) counts all of its own")


_MOST_VALUES = 10_000
_LARGEST_FILE = 256 * 1024  # bytes; the largest config that comes with capsmith has 6,000
_MOST_DIGITS = 400  # of a number; Python itself refuses to write whole numbers of more than 4,300
_NUMBER_TAGS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_LONGEST = 400  # characters shown of what is wrong
_NUMBER = re.compile(r"^[-+]?(?:[0-9][0-9_]*)(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)$")  # 1e-3; PyYAML knows 1.0e-3 alone


def dump(values: Any) -> str:
    """Writes YAML that ``parse`` reads as the same values: a folder called 1e3 stands in quotes."""
    text = yaml.dump(values, Dumper=_dumper(), sort_keys=False, allow_unicode=True)
    if escaped(text, "\n\t") != text:  # such as U+0085, a line end to YAML, or what turns the direction of writing
        text = yaml.dump(values, Dumper=_dumper(), sort_keys=False)
    return text


@cache
def _dumper() -> type[yaml.SafeDumper]:
    class Dumper(yaml.SafeDumper):
        """PyYAML's safe dumper, but it knows what the loader below takes for a number."""

    Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBER, list("-+0123456789"))
    return Dumper


@cache
def _loader() -> type[yaml.SafeLoader]:
    class Loader(yaml.SafeLoader):
        """PyYAML's safe loader, but 1e-3 is a number, and a key is a word that stands once."""

        def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
            if node.tag in _NUMBER_TAGS and len(str(node.value)) > _MOST_DIGITS:
                problem = f"a number of {len(str(node.value)):,} digits"
                raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
            try:
                return super().construct_object(node, deep)
            except VALUE_ERRORS as error:
                raise yaml.constructor.ConstructorError(None, None, one_line(error), node.start_mark) from error

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
            seen: set[Any] = set()
            for key_node, _ in node.value:
                key = self.construct_object(key_node, deep=True)
                if not isinstance(key, str):
                    problem = f"the key {key_node.value!r} is read as {key!r}; put it in quotes"
                    raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
                if key in seen:
                    problem = f"the key '{key}' stands twice"
                    raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
                seen.add(key)
            return super().construct_mapping(node, deep)

    Loader.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBER, list("-+0123456789"))
    return Loader
