"""Files of a dataset: found, or told what is there instead; and the numbered lines of a text file."""

from collections.abc import Iterator
from pathlib import Path

from capsmith.core.errors import DataError
from capsmith.core.readers.regular_files import describe_special
from capsmith.core.readers.text_files import read_text
from capsmith.core.schema import nearest
from capsmith.data.records import DatasetConfig

__all__ = ["locate", "numbered_lines", "read_text"]

_SHOWN = 8


def locate(config: DatasetConfig, name: Path, key: str, folder: bool = False) -> Path:
    """Finds a file or folder of a dataset.

    Args:
        config: The dataset's settings.
        name: The path below ``config.root``, or an absolute one.
        key: The field of the config that holds it, for the message.
        folder: Look for a folder.

    Raises:
        DataError: It is not there; the message says what is.
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
    found = ", ".join(present[:_SHOWN]) + (", …" if len(present) > _SHOWN else "")
    raise DataError(
        f"data.{key}: {place} has no {kind} {path.name}{nearest(path.name, present)} ({kind}s found: {found or 'none'})"
    )


def locate_images(config: DatasetConfig, name: Path) -> Path:
    """Finds the folder of a dataset's images, as `locate`; it may be missing where no image is required."""
    return locate(config, name, "images", folder=True) if config.require_images else config.root / name


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yields the lines that are not blank with their numbers, counted from one."""
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            yield number, line
