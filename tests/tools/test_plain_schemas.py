"""The JSON Schema of the plain settings is that of the pydantic classes."""

import json
from pathlib import Path

import pytest
from pydantic import Field

from capsmith.core.schema import Settings
from capsmith.decoding.config import DECODINGS
from capsmith.decoding.rerank.config import RERANKERS
from tools import plain_schemas


def test_the_files_are_up_to_date():
    assert plain_schemas.outdated() == [], "run `make tables`"


def test_every_search_and_reranker_is_listed_with_every_field():
    saved = json.loads(plain_schemas.decoding.SCHEMAS.read_text())
    for kind, registry in (("decoding", DECODINGS), ("reranker", RERANKERS)):
        assert list(saved[kind]) == registry.names()
        for name, settings in registry.settings.items():
            assert list(saved[kind][name]["properties"]) == list(settings.model_fields)


def test_a_new_field_is_picked_up():
    class New(Settings):
        weight: float | None = Field(default=None, gt=0, le=0.5)
        words: tuple[str, ...] = ("a",)
        file: Path | None = None
        renamed = {"heft": "weight"}

    assert plain_schemas.fields(New) == {
        "properties": {
            "weight": {
                "anyOf": [{"type": "number", "exclusiveMinimum": 0, "maximum": 0.5}, {"type": "null"}],
                "default": None,
            },
            "words": {"type": "array", "items": {"type": "string"}, "default": ["a"]},
            "file": {"anyOf": [{"type": "string", "format": "path"}, {"type": "null"}], "default": None},
        },
        "renamed": {"heft": "weight"},
    }


def test_an_outdated_file_is_found_and_written(tmp_path, monkeypatch):
    path = tmp_path / "settings.json"
    monkeypatch.setattr(plain_schemas.decoding, "SCHEMAS", path)
    assert plain_schemas.outdated() == [path]
    monkeypatch.setattr("sys.argv", ["plain_schemas", "--check"])
    with pytest.raises(SystemExit, match="make tables"):
        plain_schemas.main()
    assert not path.exists()
    monkeypatch.setattr("sys.argv", ["plain_schemas"])
    plain_schemas.main()
    assert plain_schemas.outdated() == []
