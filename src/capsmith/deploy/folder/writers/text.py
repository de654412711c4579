"""A text file beside each image, or in the same place below ``--output``: the caption and a line end."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

from capsmith.core.errors import CapsmithError
from capsmith.core.files import write_text
from capsmith.core.readers.regular_files import SMALL_FILE, read_bytes
from capsmith.deploy.folder.selection import Item
from capsmith.deploy.folder.writers.writer import Writer, all_texts


class TextWriter(Writer):
    """Writes ``photo.txt`` for ``photo.jpg``; images that differ only in the ending get ``photo.jpg.txt``.

    Args:
        items: All images.
        folder: The folder of the files, in which they stand as the images do in theirs; by default beside the images.
        overwrite: Replace files of somebody else.
    """

    def __init__(self, items: Sequence[Item], folder: Path | None = None, overwrite: bool = False) -> None:
        self.paths = beside(items, folder, ".txt")
        self.overwrite = overwrite

    def files(self) -> list[Path]:
        """Returns the text files."""
        return list(self.paths.values())

    def write(self, item: Item, record: dict[str, Any], earlier: Sequence[dict[str, Any]]) -> str:
        """Writes a text file. One that holds anything but a caption of this image is kept."""
        path, text = self.paths[item.name], _text(record)
        try:
            existing = read_bytes(path, SMALL_FILE) if os.path.lexists(path) else None
        except OSError as error:
            raise CapsmithError(f"cannot read {path}, which would be replaced: {error.strerror or error}") from error
        if existing == text.encode():
            return ""
        ours = existing is None or any(existing == _text(before).encode() for before in earlier)
        if not ours and not self.overwrite:
            return str(path)
        write_text(path, text)
        return ""


def beside(items: Sequence[Item], folder: Path | None, ending: str) -> dict[str, Path]:
    """Returns a path for each image: its own with another ending, or that below ``folder``."""
    stems = Counter(_stem(item.name) for item in items)
    return {
        item.name: (item.path if folder is None else folder / item.name).with_suffix(
            ending if stems[_stem(item.name)] == 1 else f"{item.path.suffix}{ending}"
        )
        for item in items
    }


def _stem(name: str) -> str:
    return str(PurePath(name).with_suffix("")).casefold()  # some file systems do not tell cases apart


def _text(record: dict[str, Any]) -> str:
    return "".join(f"{text}\n" for text in all_texts(record))
