"""Lookup of config files by path, or by bare name in the current folder and among the shipped configs."""

import contextlib
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from capsmith.core.errors import ConfigError, escaped
from capsmith.core.log import get_logger
from capsmith.core.readers.regular_files import describe_special
from capsmith.core.spelling import nearest

logger = get_logger(__name__)


def config_folders() -> list[Path]:
    """Returns the folders in which a bare name such as ``flickr8k.yaml`` is looked up, after the current folder."""
    package = Path(__file__).resolve().parents[1]
    return [Path("configs"), package / "configs", package.parents[1] / "configs"]


def find_config(name: str | Path) -> Path:
    """Returns the config file at a path or with a bare name.

    Raises:
        ConfigError: There is no such file; the message lists the configs that ship with capsmith.
    """
    path = Path(name)
    path = path if path.suffix or not path.name else path.with_suffix(".yaml")
    bare = path.parent == Path(".") and not str(name).startswith((f".{os.sep}", "./"))
    candidates = [path] if path.parent != Path(".") else [path, *(folder / path for folder in config_folders())]
    if existing := [candidate for candidate in candidates if candidate.is_file()]:
        if bare:
            _note_other_files(existing)
        return existing[0]
    if name == "":
        raise ConfigError("no config: the name is empty")
    known = sorted({file.name for folder in config_folders() for file in folder.glob("*.yaml")})
    special = "that is a folder" if path.is_dir() else describe_special(path)
    hint = f"; {special}" if special else nearest(path.name, known)
    raise ConfigError(f"no config {name}{hint} (shipped configs: {', '.join(known)})")


def shipped_configs() -> set[str]:
    """Returns the names of the configs that ship with capsmith."""
    return {path.name for folder in config_folders()[1:] for path in folder.glob("*.yaml")}


@cache
def _note(line: str) -> None:
    logger.info(line)  # cached: once per process


def _note_other_files(paths: Sequence[Path]) -> None:
    """Logs which of several configs of one name is used, if their contents differ."""
    first, *others = paths
    with contextlib.suppress(OSError):
        content = first.read_bytes()
        if (other := next((path for path in others if path.read_bytes() != content), None)) is None:
            return
        _note(escaped(f"note: {first.name} is {first.absolute()}, not {other.absolute()}: use a path to choose"))
