r"""Resolves image names in captions files to files.

A name that can refer to only one file of the image folder is resolved to that file, and the change is reported. Such
names are ``photo.JPG`` for ``photo.jpg``, ``C:\data\Images\photo.jpg``, ``https://…/photo.jpg?raw=1``,
``my%20photo.jpg`` and ``photo.jpg#0``.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote

from capsmith.core.errors import DataError
from capsmith.data.record_builder import IMAGES, RecordBuilder, safe_id

NUMBERED = re.compile(r"(.+)#(\d{1,9})")
"""``photo.jpg#0``: a name and the number of the caption."""
CASE = "image name that differs from the file name in case"
_URL_ENCODED = "image name in URL encoding"
_EXTRA_FOLDERS = "image name with surplus leading folders"
_QUOTED = "image name in quotes"
_MAX_DEPTH = 8  # maximum number of path components below the image folder


class ResolvedName(NamedTuple):
    """The file that a name refers to.

    Attributes:
        image_id: The id of the file, or the unchanged name if no file matches.
        key: The number after ``#``, which identifies a caption of the image.
        exists: Whether a file matches.
        remark: How the name differs from the file name; empty if it does not.
        dropped: Leading folders that were ignored.
    """

    image_id: str
    key: str | None = None
    exists: bool = False
    remark: str = ""
    dropped: str = ""


class NameResolver:
    """Adds rows to a record builder under the resolved names of their images.

    Args:
        builder: Receives the rows.
    """

    def __init__(self, builder: RecordBuilder) -> None:
        self.builder = builder
        self._resolved: dict[str, ResolvedName] = {}
        self._dropped: dict[str, tuple[str, str]] = {}
        self._checked: set[str] = set()

    def resolve(self, name: str) -> ResolvedName:
        """Resolves a name. Results are cached."""
        if name not in self._resolved:
            self._resolved[name] = self._resolve(name)
        return self._resolved[name]

    def is_image(self, name: object) -> bool:
        """Returns whether a value is an image name: that of an existing file, or one with an image extension."""
        if not isinstance(name, str):
            return False
        resolved = self.resolve(name)
        return resolved.exists or is_file_name(resolved.image_id)

    def add(self, name: str, caption: str, split: str = "", key: str | None = None) -> None:
        """Adds one row; see ``RecordBuilder.add``. Without a key, the number after ``#`` in the name is used.

        Raises:
            DataError: Two names with different folders resolve to the same file; see also ``RecordBuilder.add``.
        """
        resolved = self.resolve(name)
        if resolved.exists and name not in self._checked:
            self._check(name, resolved)
        self.builder.add(resolved.image_id, caption, split, key=resolved.key if key is None else key)

    def _check(self, name: str, resolved: ResolvedName) -> None:
        self._checked.add(name)
        dropped, first = self._dropped.setdefault(resolved.image_id, (resolved.dropped, name))
        if dropped != resolved.dropped:
            raise DataError(
                f"{self.builder.source}: '{first}' and '{name}' both resolve to the image {resolved.image_id} in "
                f"{self.builder.folder.root}: write each as a path relative to that folder"
            )
        if resolved.remark:
            self.builder.repaired.add(resolved.remark, f"{name.strip()} → {resolved.image_id}")

    def _resolve(self, name: str) -> ResolvedName:
        folder = self.builder.folder
        bare = name.strip().strip("\ufeff")
        for form, key, remark in _forms(bare):
            for tail, dropped in _tails(form):
                image_id = safe_id(tail)
                if image_id is None:
                    continue
                image_id = folder.with_ending(image_id) if self.builder.add_ending else image_id
                existing = image_id if folder.find(image_id) is not None else folder.ignoring_case(image_id)
                if existing is not None:
                    case = CASE if existing != image_id else ""
                    return ResolvedName(existing, key, True, remark or (_EXTRA_FOLDERS if dropped else case), dropped)
        numbered = NUMBERED.fullmatch(bare)
        return ResolvedName(numbered[1], numbered[2]) if numbered else ResolvedName(bare)


def is_file_name(text: str) -> bool:
    """Returns whether a text ends in an image extension, optionally followed by a caption number (``#0``)."""
    stem, dot, ending = text.strip().strip("'\"").rpartition(".")
    return bool(dot and stem) and f".{ending.partition('#')[0].lower()}" in IMAGES


def base_name(name: str) -> str:
    """Returns the part that all forms of a name share: its decoded, lower-case file name without number or quotes."""
    bare = name.strip().strip("\ufeff'\"")
    if "://" in bare:
        bare = re.split(r"[?#]", bare, maxsplit=1)[0]
    elif numbered := NUMBERED.fullmatch(bare):
        bare = numbered[1]
    return re.split(r"[\\/]", unquote(bare) if "%" in bare else bare)[-1].casefold()


def _forms(name: str) -> Iterator[tuple[str, str | None, str]]:
    """Yields possible readings of a name, the most likely first: name, caption number, remark."""
    yield name, None, ""
    key = None
    if numbered := NUMBERED.fullmatch(name):
        name, key = numbered[1], numbered[2]
        yield name, key, ""
    if name[:1] in "'\"" and name[:1] == name[-1:]:
        name = name[1:-1]
        yield name, key, _QUOTED
    if "://" in name:
        name = re.split(r"[?#]", name, maxsplit=1)[0]
        yield name, key, ""
    if "%" in name:
        yield unquote(name), key, _URL_ENCODED


def _tails(name: str) -> Iterator[tuple[str, str]]:
    """Yields a name, then its shorter and shorter tails; each with the leading folders that were dropped."""
    yield name, ""
    parts = [part for part in re.split(r"[\\/]", name) if part not in ("", ".")]
    for drop in range(max(len(parts) - _MAX_DEPTH, 0), len(parts)):
        tail = "/".join(parts[drop:])
        if tail != name and ".." not in parts[drop:]:
            yield tail, "/".join(parts[:drop]).casefold()
