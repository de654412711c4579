"""A program named java whose behaviour a test defines."""

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from capsmith.metrics import java

REFERENCES = {"a": ["a dog runs in the snow", "the dog is running"], "b": ["two people sit", "people in a park"]}
CAPTIONS = {"a": "a puppy is running through snow", "b": "two people in a park"}
FAKE = """#!{python}
import json, sys
{body}
"""


@pytest.fixture
def fake_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Returns a function that puts a program named java with a given body first in the search path."""

    def make(body: str) -> None:
        folder = tmp_path / "bin with space"
        folder.mkdir()
        program = folder / "java"
        program.write_text(FAKE.format(python=sys.executable, body=body))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setattr(java, "package_folder", lambda name: tmp_path)

    return make
