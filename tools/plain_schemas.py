"""Writes the fields of the settings that captioning needs as JSON Schema, for ``capsmith.core.plain_settings``.

    python -m tools.plain_schemas [--check]

The pydantic classes declare the fields. ``--check`` writes nothing and fails if a file is out of date, as
``tests/tools/test_plain_schemas.py`` does.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from capsmith.core.files import write_text
from capsmith.core.registry import OneOf, Registry
from capsmith.core.schema import Settings
from capsmith.data.text import plain_settings as text
from capsmith.data.text.config import TextConfig
from capsmith.decoding import plain_settings as decoding
from capsmith.decoding.config import DECODINGS
from capsmith.decoding.rerank.config import RERANKERS

_PROSE = ("title", "description")


class _Schema(GenerateJsonSchema):
    """Leaves fields that hold a section of their own to ``_field``."""

    def function_plain_schema(self, schema: Any) -> dict[str, Any]:
        return {}


def fields(settings: type[Settings]) -> dict[str, Any]:
    """Returns the JSON Schema of each field of a settings class, and its renamed keys."""
    properties = settings.model_json_schema(schema_generator=_Schema)["properties"]
    entry: dict[str, Any] = {
        "properties": {name: _field(settings, name, schema) for name, schema in properties.items()}
    }
    return entry | ({"renamed": dict(settings.renamed)} if settings.renamed else {})


def _field(settings: type[Settings], name: str, schema: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in schema.items() if key not in _PROSE}
    for mark in settings.model_fields[name].metadata:
        if isinstance(mark, OneOf):
            return {"section": mark.registry.kind, "optional": mark.optional, **kept}
    return kept


def own(registry: Registry) -> dict[str, Any]:
    """Returns the schemas of a registry's own components, by name."""
    return {
        name: fields(settings)
        for name, settings in registry.settings.items()
        if not registry.settings.is_external(name)
    }


def files() -> dict[Path, str]:
    """Returns the text of each file."""
    searches = {"decoding": own(DECODINGS), "reranker": own(RERANKERS), "retired": dict(DECODINGS.retired)}
    schemas = {decoding.SCHEMAS: searches, text.SCHEMAS: {"text": fields(TextConfig)}}
    return {path: json.dumps(values, indent=1, ensure_ascii=False) + "\n" for path, values in schemas.items()}


def outdated() -> list[Path]:
    """Returns the files that differ from what would be written."""
    return [
        path for path, content in files().items() if not path.is_file() or path.read_text(encoding="utf-8") != content
    ]


def main() -> None:
    """Writes the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is out of date")
    if parser.parse_args().check:
        if wrong := outdated():
            raise SystemExit(f"out of date, run `make tables`: {', '.join(map(str, wrong))}")
        return
    for path, content in files().items():
        write_text(path, content)


if __name__ == "__main__":
    main()
