"""Captions in text files, one for each image and called like it: ``dog.txt`` for ``dog.jpg``."""

import os
from collections.abc import Iterator
from pathlib import Path

from capsmith.data.files import read_text
from capsmith.data.record_builder import Rows, safe_id

_ENDING = ".txt"


def notes_below(folder: Path) -> Iterator[str]:
    """Yields the text files below a folder, in order, as their paths below it without ``.txt``; none of a file."""
    walked: set[str] = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        walked.add(os.path.realpath(place))
        inner = (name for name in folders if not name.startswith("."))
        folders[:] = sorted(name for name in inner if os.path.realpath(os.path.join(place, name)) not in walked)
        for name in sorted(files):
            if name.endswith(_ENDING) and not name.startswith("."):
                yield (Path(place).relative_to(folder) / name).as_posix().removesuffix(_ENDING)


def note_path(folder: Path, name: str) -> Path:
    """Returns the text file of a name that ``notes_below`` gave."""
    return folder / (name + _ENDING)


def take_notes(rows: Rows, folder: Path) -> None:
    """Adds the lines of each text file as captions of the image of its name; blank lines are passed over.

    Args:
        rows: Where they go; text files without an image are counted as problems.
        folder: Holds the text files as the images' folder holds the images.

    Raises:
        DataError: A text file is not UTF-8.
    """
    for name in notes_below(folder):
        image_id = safe_id(name)
        if image_id is None or rows.folder.find(rows.folder.completed(image_id)) is None:
            rows.reject("text file without an image of its name", name + _ENDING)
            continue
        lines = [line for line in read_text(note_path(folder, name)).split("\n") if line.strip()]
        for line in lines or [""]:
            rows.add(image_id, line)
