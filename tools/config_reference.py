"""Writes ``docs/configuration.md``: every key of a config, from the docstrings of the settings classes.

    python -m tools.config_reference [--check]

``--check`` changes nothing and exits with 1 when the page is out of date.
"""

import argparse
import re
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic.fields import FieldInfo

from capsmith.config import Config, EmbeddingRunConfig
from capsmith.core.registry import OneOf, Registry
from capsmith.core.schema import Settings
from capsmith.training.common.config import RootConfig
from tools.paths import ROOT

PAGE = ROOT / "docs" / "configuration.md"
INTRODUCTION = """# Configuration

A run is described by one YAML file. This page lists every key; it is generated from the settings classes
(`python -m tools.config_reference`). The
[configs that come with capsmith](models.md#configs-that-come-with-capsmith) are commented examples, and
`capsmith init FOLDER` writes a config for your own images.

- `--set section.key=value` changes a key on the command line; `encoder.0.weights=…` changes one in a list.
- `capsmith validate --config FILE` reports all mistakes at once, each with its path, the allowed values and the nearest
  valid name, and checks that the named files exist.
- The resolved config, defaults included, is saved in the run directory.
- YAML reads `1e-3` as text: write `1.0e-3` or `0.001`.
"""
JOINT = """A config with the section `embedding` in place of `decoder` and `decoding` trains a
[joint embedding](embedding.md). `seed`, `data`, `text`, `encoder` and `features` are the same, except that the encoder
is frozen. It has these sections of its own:
"""
_WORDS = {bool: "true or false", int: "integer", float: "number", str: "text", Path: "path", type(None): "null"}
_SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def page() -> str:
    """Returns the page."""
    sections = [INTRODUCTION, "## Top level\n", _prose(Config), table(Config.model_fields)]
    for name, field in Config.model_fields.items():
        sections += section(name, field)
    own = [name for name in EmbeddingRunConfig.model_fields if name not in RootConfig.model_fields]
    sections += ["\n# Joint embeddings\n", JOINT, table({name: EmbeddingRunConfig.model_fields[name] for name in own})]
    for name in (name for name in own if name != "ensemble"):  # as that of captioners
        sections += section(name, EmbeddingRunConfig.model_fields[name])
    return "\n".join(sections).rstrip() + "\n"


def section(name: str, field: FieldInfo) -> Iterator[str]:
    """Yields the parts of a section: its keys, the keys of each type, and its nested sections."""
    registry = next((mark.registry for mark in field.metadata if isinstance(mark, OneOf)), None)
    classes = settings_in(field.annotation)
    if not classes:
        return
    yield f"\n## {name}\n"
    yield field.description.replace("\n", " ").replace("``", "`") + "\n" if field.description else ""
    described = [(name, classes[0])]
    yield table(classes[0].model_fields)
    if registry is not None:
        yield from types_of(name, registry, classes[0])
        described += [(name, settings) for _, settings in own_types(registry)]
    yield from nested(described)


def own_types(registry: Registry) -> list[tuple[str, type[Settings]]]:
    """Returns the name and settings of each of capsmith's own types in a registry."""
    names = registry.settings
    return [(name, settings) for name, settings in sorted(names.items()) if not names.is_external(name)]


def types_of(path: str, registry: Registry, base: type[Settings], level: str = "###") -> Iterator[str]:
    """Yields the keys of each type that a section may have, without those that all types share."""
    for name, settings in own_types(registry):
        yield f"\n{level} {path}: type {name}\n"
        yield _prose(settings)
        own = {key: value for key, value in settings.model_fields.items() if is_own(base, key, value)}
        yield table(own) if own else ""


def is_own(base: type[Settings], key: str, field: FieldInfo) -> bool:
    """Returns whether a key of a type is new, or has another default than in the settings of all types."""
    if key == "type":
        return False
    return key not in base.model_fields or field.default != base.model_fields[key].default


def nested(described: list[tuple[str, type[Settings]]]) -> Iterator[str]:
    """Yields the sections below a section, each once."""
    seen: set[type[Settings]] = set()
    for path, settings in described:
        for key, field in settings.model_fields.items():
            for inner in settings_in(field.annotation):
                if inner not in seen:
                    seen.add(inner)
                    yield f"\n### {path}.{key}\n"
                    yield _prose(inner)
                    yield table(inner.model_fields)
                    for registry in (mark.registry for mark in field.metadata if isinstance(mark, OneOf)):
                        yield from types_of(f"{path}.{key}", registry, inner, "####")
                    yield from nested([(f"{path}.{key}", inner)])


def table(fields: dict[str, FieldInfo]) -> str:
    """Returns the keys of a settings class as a Markdown table."""
    lines = ["| key | value | default | |", "|---|---|---|---|"]
    for key, field in fields.items():
        text = re.sub(r"\s+", " ", (field.description or "").replace("``", "`"))
        cells = (f"`{key}`", _values(field), _default(field), text)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def _prose(settings: type[Settings]) -> str:
    text = (settings.__doc__ or "").split("\n\n    Attributes:")[0]
    return re.sub(r"\n +", "\n", text.strip()).replace("``", "`") + "\n"


def settings_in(annotation: Any) -> list[type[Settings]]:
    """Returns the settings classes in an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return [annotation]
    inner = [each for argument in typing.get_args(annotation) for each in settings_in(argument)]
    return list(dict.fromkeys(inner))


def _values(field: FieldInfo) -> str:
    bounds = [
        f"{sign} {getattr(mark, name):,}"
        for mark in field.metadata
        for name, sign in _SIGNS.items()
        if getattr(mark, name, None) is not None
    ]
    return ", ".join([_type(field.annotation), *bounds])


def _type(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _type(arguments[0])
    if origin is Literal:
        return ", ".join(f"`{argument}`" for argument in arguments)
    if origin in (typing.Union, types.UnionType):
        names = list(dict.fromkeys(_type(argument) for argument in arguments))
        return " or ".join(names)
    if origin in (tuple, list):
        inner = [argument for argument in arguments if argument is not Ellipsis]
        if Ellipsis in arguments or len(inner) == 1:
            return f"list of {_type(inner[0])}"
        return f"list of {len(inner)}: {', '.join(_type(argument) for argument in inner)}"
    if origin is dict:
        return "mapping"
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return "section"
    return _WORDS.get(annotation, "value")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, Settings):
        return f"`type: {value.type}`" if hasattr(value, "type") else ""  # its own table lists its defaults
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if value is None:
        return "`null`"
    if isinstance(value, tuple | list):
        return f"`[{', '.join(map(str, value))}]`" if len(str(value)) < 60 else "a list"
    return f"`{value}`"


def main() -> int:
    """Writes the page, or checks it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when the page is out of date")
    args = parser.parse_args()
    text = page()
    if args.check:
        return int(not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text)
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
