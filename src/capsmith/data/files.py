"""Locates the files of a dataset, and reads text files by numbered lines."""

from collections.abc import Iterator
from pathlib import Path

from capsmith.core.errors import DataError
from capsmith.core.readers.regular_files import describe_special
from capsmith.core.readers.text_files import read_text
from capsmith.core.spelling import nearest
from capsmith.data.records import DatasetConfig

_SHOWN = 8  # existing files listed in messages


def locate(config: DatasetConfig, name: Path, key: str, folder: bool = False) -> Path:
    """Returns the path of a file or folder of a dataset.

    Args:
        config: The settings of the dataset.
        name: The path below ``config.root``, or an absolute path.
        key: The config field that holds the name, for messages.
        folder: Look for a folder.

    Raises:
        DataError: It does not exist; the message lists the files or folders that do.
    """
    if not config.root.is_dir():
        raise DataError(f"data.root: the folder {config.root} does not exist; set it with --set data.root=…")
    path = config.root / name
    if path.is_dir() if folder else path.is_file():
        return path
    if not folder and not path.is_dir() and (special := describe_special(path)):
        raise DataError(f"data.{key}: {path}: {special}")
    kind = "folder" if folder else "file"
    place = path.parent
    try:
        present = sorted(entry.name for entry in place.iterdir() if entry.is_dir() == folder)
    except OSError:
        place, present = config.root, sorted(entry.name for entry in config.root.iterdir())
    names = ", ".join(present[:_SHOWN]) + (", …" if len(present) > _SHOWN else "")
    raise DataError(
        f"data.{key}: {place} has no {kind} {path.name}{nearest(path.name, present)} ({kind}s found: {names or 'none'})"
    )


def locate_images(config: DatasetConfig, name: Path) -> Path:
    """Returns the image folder of a dataset, like ``locate``; it may be missing if no images are required."""
    return locate(config, name, "images", folder=True) if config.require_images else config.root / name


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yields the non-blank lines with their line numbers, which start at 1."""
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            yield number, line
