"""Rows of the table of images, as the store hands them out."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from capsmith.core.readers.json_files import parse_json
from capsmith.deploy.folder.journal import Stamp
from capsmith.deploy.folder.names import name_inside, printable_name
from capsmith.deploy.studio.caption_text import folded
from capsmith.deploy.studio.project import StudioError
from capsmith.deploy.studio.records import UNTOUCHED, StudioImage, UnknownImage

LISTED = "id, name, status, caption, proposed, revision, width, height, log_probability, per_word, error, details"
"""Columns of an image in a list."""
ONE = f"SELECT {LISTED}, model, size, mtime FROM images WHERE id = ? AND missing = 0"  # noqa: S608
"""Selects an image with its details."""
IS_UNTOUCHED = f"status IN ({', '.join(repr(status) for status in UNTOUCHED)})"
"""Condition: no person decided about an image."""


def found(rows: Sequence[sqlite3.Row], id: int) -> sqlite3.Row:
    """Returns the row of an image.

    Raises:
        UnknownImage: There is none.
    """
    if not rows:
        raise UnknownImage(f"there is no image {id}, or its file was removed")
    return rows[0]


def image_of(row: sqlite3.Row) -> StudioImage:
    """Returns an image; those of a list have no model and no stamp."""
    values = dict(row)
    details = values.pop("details")
    size, mtime = values.pop("size", None), values.pop("mtime", None)
    return StudioImage(
        **{**values, "name": printable_name(values["name"])},
        details=_details(details),
        stamp=None if size is None else Stamp(size, mtime),
    )


def _details(text: str) -> dict[str, Any]:
    try:
        details = parse_json(text)
    except ValueError as error:
        raise StudioError(f"the project is damaged: details of an image are not valid JSON ({error})") from error
    if not isinstance(details, dict):
        raise StudioError("the project is damaged: details of an image are not an object")
    return details


def words_of(caption: str, name: str) -> str:
    """Returns the text in which a search looks."""
    return folded(f"{caption}\n{name}")


def utf8(text: str) -> str:
    r"""Returns a text that can be encoded: bytes of file names that are not UTF-8 become ``\udce9`` and the like."""
    return text.encode("utf-8", "backslashreplace").decode()


def file_name(name: bytes) -> str:
    """Returns the relative path of an image, as the file system has it.

    Raises:
        StudioError: It leads out of the folder: somebody changed the database.
    """
    try:
        return name_inside(name)
    except ValueError as error:
        raise StudioError(f"the project is damaged: {error}") from error
