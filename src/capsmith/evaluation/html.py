"""Shared parts of the HTML pages: cards, the templates' frame, and small copies of images next to the page.

A page needs no network access, no scripts and no files outside its folder.
"""

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from capsmith.core.errors import ImageError
from capsmith.core.files import atomic, write_text
from capsmith.core.outputs import COPIES, listed_copies
from capsmith.core.pages.environment import environment
from capsmith.vision.images import ImageSource
from capsmith.vision.thumbnails import thumbnail

THUMBNAIL = 320
"""The longest side of images on pages, in pixels."""


@dataclasses.dataclass(frozen=True)
class Card:
    """An image on a page, and what is written below it.

    Args:
        file: The name of its copy in the folder ``images`` beside the page; None if the image cannot be read.
        alt: The alternative text.
        name: The image's id.
        caption: The caption that stands out; empty for none.
        by_model: The caption is a model's.
        lines: Further captions.
        note: What stands beside the name.
        figure: The number beside the note.
    """

    file: str | None
    alt: str
    name: str
    caption: str = ""
    by_model: bool = False
    lines: Sequence[str] = ()
    note: str = ""
    figure: str = ""


def write_page(path: Path, template: str, title: str, **values: Any) -> Path:
    """Writes a page atomically; returns its path.

    Args:
        path: The file.
        template: The name of a template in ``templates``.
        title: The title and the heading.
        values: What the template shows; everything is escaped.

    Raises:
        CapsmithError: The folder cannot be written.
    """
    page = environment("capsmith.evaluation").get_template(template)
    write_text(path, page.render(title=title, **values))
    return path


def small_copy(source: ImageSource, name: str, folder: Path) -> str | None:
    """Writes a small copy of an image; returns its file name, or None when the image cannot be read.

    Args:
        source: The image.
        name: A unique name, such as the image id.
        folder: The folder of the copy.
    """
    file = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16] + ".jpg"
    try:
        small = thumbnail(source, THUMBNAIL)
    except ImageError:  # reported at extraction
        return None
    return save_copy(small, file, folder)


def save_copy(image: Image.Image, file: str, folder: Path) -> str:
    """Writes a small image; returns its file name.

    The name is listed before the file exists, so an interrupted command leaves no unlisted file.
    """
    names = _listed(folder)
    if file not in names or not (folder / COPIES).exists():
        _list(folder, names | {file})
    with atomic(folder / file, "wb") as opened:
        image.save(opened, "JPEG", quality=88)
    return file


def clear_copies(folder: Path, wanted: set[str]) -> None:
    """Deletes only those listed copies that are no longer wanted."""
    for name in _listed(folder) - wanted:
        with contextlib.suppress(OSError):
            (folder / name).unlink()
    if folder.is_dir() or wanted:
        _list(folder, wanted)


def _listed(folder: Path) -> set[str]:
    try:
        return listed_copies(folder) or set()
    except OSError:
        return set()  # writing the list reports the error


def _list(folder: Path, names: set[str]) -> None:
    write_text(folder / COPIES, json.dumps(sorted(names)))
