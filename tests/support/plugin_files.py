"""The plugins of docs/plugins.md as files, and fixtures that undo registrations."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from capsmith.core.loaded_plugins import LOADED
from capsmith.core.tables import TABLES
from tests.support import toy

PAGE = Path(__file__).resolve().parents[2] / "docs" / "plugins.md"


def documented() -> dict[str, str]:
    """Returns the code blocks that begin with a file name, by that name."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return {match[1]: block for block in blocks if (match := re.match(r"# (\w+\.py)\n", block))}


def write(folder: Path, *names: str) -> list[Path]:
    """Writes documented plugins (all by default) into a folder; returns their paths."""
    result = documented()
    paths = [folder / name for name in names or result]
    for path in paths:
        path.write_text(result[path.name], encoding="utf-8")
    return paths


def config_file(place: Path, **changes: dict[str, Any]) -> str:
    """Writes the toy config with changes, for data and cache in a folder; a section of another type is replaced."""
    values = toy.settings(place / "data", place / "cache")
    for section, change in changes.items():
        values[section] = change if "type" in change else {**values[section], **change}
    return str(toy.write_config(place / "config.yaml", values))


def option(place: Path, name: str) -> list[str]:
    """Writes a documented plugin; returns the ``--plugin`` option for it."""
    return ["--plugin", str(write(place, name)[0])]


def needs(run: Path) -> dict[tuple[str, str], str]:
    """Returns the plugins that a run requires, by kind and name."""
    result = json.loads((run / "plugins.json").read_text())["needs"]
    return {(need["kind"], need["name"]): need["plugin"] for need in result}


@contextmanager
def forgetting(_: object = None) -> Iterator[None]:
    """Unregisters, on exit, the components registered in the context."""
    before = {kind: set(table) for kind, table in TABLES.items()}
    loaded = set(LOADED)
    try:
        yield
    finally:
        for kind, table in TABLES.items():
            for name in [name for name in table if table.is_external(name) and name not in before.get(kind, ())]:
                table.remove(name)
        for key in set(LOADED) - loaded:
            del LOADED[key]


@pytest.fixture
def isolated_plugins() -> Iterator[None]:
    """Unregisters the components that a test registered."""
    with forgetting():
        yield


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with the toy data, for plugins and configs."""
    toy.make_data(tmp_path / "data")
    return tmp_path
