"""Shared parts of the HTML pages: the style, the frame, and small copies of images next to the page.

A page needs no network access, no scripts and no files outside its folder.
"""

import contextlib
import functools
import hashlib
import json
from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from pathlib import Path

from PIL import Image

from capsmith.core.errors import ImageError
from capsmith.core.files import atomic, write_text
from capsmith.core.outputs import COPIES, GENERATOR, listed_copies
from capsmith.vision.images import ImageSource
from capsmith.vision.thumbnails import thumbnail

THUMBNAIL = 320
"""The longest side of images on pages, in pixels."""


@functools.cache
def stylesheet() -> str:
    """Returns the style sheet of the pages, ``assets/page.css`` in this package."""
    return resources.files("capsmith.evaluation").joinpath("assets", "page.css").read_text(encoding="utf-8")


def write_page(path: Path, title: str, parts: Iterable[str]) -> Path:
    """Writes a page atomically; returns its path.

    Args:
        path: The file.
        title: The title and the heading.
        parts: The HTML below the heading.

    Raises:
        CapsmithError: The folder cannot be written.
    """
    heading = escape(title.encode("utf-8", "backslashreplace").decode())
    page = (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f'{GENERATOR}\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{heading}</title>\n<style>\n{stylesheet()}</style>\n<body>\n<h1>{heading}</h1>\n"
    )
    write_text(path, page + "\n".join(parts) + "\n</body>\n</html>\n")
    return path


def cards(figures: Iterable[str]) -> str:
    """Returns a grid of figures."""
    return f'<div class="cards">{"".join(figures)}</div>'


def footer(notes: Sequence[str]) -> str:
    """Returns the notes at the foot of a page."""
    return "<footer>" + "".join(f"<div>{escape(note)}</div>" for note in notes) + "</footer>"


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


def image(file: str | None, alt: str) -> str:
    """Returns the HTML of an image in ``images`` next to the page, or of a placeholder."""
    if file is None:
        return '<div class="unreadable">the image cannot be read</div>'
    return f'<img src="images/{file}" alt="{escape(alt)}" loading="lazy">'
