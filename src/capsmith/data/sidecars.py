"""Captions in text files, one per image with the name of the image: ``dog.txt`` for ``dog.jpg``."""

import os
from collections.abc import Iterator
from pathlib import Path

from capsmith.core.readers.text_files import read_text
from capsmith.data.record_builder import RecordBuilder, safe_id

_ENDING = ".txt"


def sidecar_names(folder: Path) -> Iterator[str]:
    """Yields the text files below a folder, in order, as relative paths without ``.txt``; nothing if it is a file."""
    visited: set[str] = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        visited.add(os.path.realpath(place))
        inner = (name for name in folders if not name.startswith("."))
        folders[:] = sorted(name for name in inner if os.path.realpath(os.path.join(place, name)) not in visited)
        for name in sorted(files):
            if name.endswith(_ENDING) and not name.startswith("."):
                yield (Path(place).relative_to(folder) / name).as_posix().removesuffix(_ENDING)


def sidecar_path(folder: Path, name: str) -> Path:
    """Returns the text file of a name from ``sidecar_names``."""
    return folder / (name + _ENDING)


def add_sidecars(builder: RecordBuilder, folder: Path) -> None:
    """Adds the lines of each text file as captions of the image with its name. Blank lines are ignored.

    Args:
        builder: Receives the rows; text files without an image count as problems.
        folder: Holds the text files, in the same subfolders as the images.

    Raises:
        DataError: A text file is not UTF-8.
    """
    for name in sidecar_names(folder):
        image_id = safe_id(name)
        if image_id is None or builder.folder.find(builder.folder.with_ending(image_id)) is None:
            builder.reject("text file without an image of the same name", name + _ENDING)
            continue
        lines = [line for line in read_text(sidecar_path(folder, name)).split("\n") if line.strip()]
        for line in lines or [""]:
            builder.add(image_id, line)
