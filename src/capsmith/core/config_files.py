"""Where configs are: a path, or a bare name that is looked for here and among those that come with capsmith."""

import contextlib
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from capsmith.core.errors import ConfigError, escaped
from capsmith.core.log import get_logger
from capsmith.core.readers.regular_files import describe_special
from capsmith.core.schema import nearest

logger = get_logger(__name__)


def config_folders() -> list[Path]:
    """Returns where a bare name such as ``flickr8k.yaml`` is looked for, after the current folder."""
    package = Path(__file__).resolve().parents[1]
    return [Path("configs"), package / "configs", package.parents[1] / "configs"]


def find_config(name: str | Path) -> Path:
    """Finds a config file by path or by bare name.

    Raises:
        ConfigError: There is none; the message lists the configs that come with capsmith.
    """
    path = Path(name)
    path = path if path.suffix or not path.name else path.with_suffix(".yaml")
    bare = path.parent == Path(".") and not str(name).startswith((f".{os.sep}", "./"))
    candidates = [path] if path.parent != Path(".") else [path, *(folder / path for folder in config_folders())]
    if found := [candidate for candidate in candidates if candidate.is_file()]:
        if bare:
            _tell_which(found)
        return found[0]
    if name == "":
        raise ConfigError("no config: its name is empty")
    known = sorted({found.name for folder in config_folders() for found in folder.glob("*.yaml")})
    special = "that is a folder" if path.is_dir() else describe_special(path)
    hint = f"; {special}" if special else nearest(path.name, known)
    raise ConfigError(f"no config {name}{hint} (capsmith brings: {', '.join(known)})")


def shipped_configs() -> set[str]:
    """Returns the names of the configs that come with capsmith."""
    return {path.name for folder in config_folders()[1:] for path in folder.glob("*.yaml")}


@cache
def _note(line: str) -> None:
    logger.info(line)  # once


def _tell_which(found: Sequence[Path]) -> None:
    """Says which of several configs of one name is taken, where they do not say the same."""
    first, *others = found
    with contextlib.suppress(OSError):
        text = first.read_bytes()
        if (other := next((one for one in others if one.read_bytes() != text), None)) is None:
            return
        _note(
            escaped(f"note: {first.name} is {first.absolute()}, not {other.absolute()}: a path says which of the two")
        )
