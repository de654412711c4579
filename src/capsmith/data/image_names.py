r"""Names of images as captions files have them, and the files that they mean.

``photo.JPG`` for ``photo.jpg``, ``C:\data\Images\photo.jpg``, ``https://…/photo.jpg?raw=1``, ``my%20photo.jpg``,
``photo.jpg#0``: where one file of the image folder is evidently meant, it is taken and told.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote

from capsmith.core.errors import DataError
from capsmith.data.record_builder import IMAGES, Rows, safe_id

NUMBER = re.compile(r"(.+)#(\d{1,9})")
"""``photo.jpg#0``: a name and the number of the caption."""
CASE = "image name in other upper and lower case than the file's"
_CODED = "image name in URL encoding"
_FOLDERS = "image name with more folders than lie below the image folder"
_QUOTES = "image name in quotes"
_DEPTH = 8  # folders of a name that may lie below the image folder


class Found(NamedTuple):
    """What a name means.

    Attributes:
        image_id: The id of the file, or the name as it stands where there is none.
        key: The number after ``#``, which tells the captions of one image apart.
        there: Whether there is such a file.
        remark: How the name departs from the file's; else empty.
        dropped: The folders in front that were passed over.
    """

    image_id: str
    key: str | None = None
    there: bool = False
    remark: str = ""
    dropped: str = ""


class Names:
    """Adds rows under the names that captions files have.

    Args:
        rows: Where they go.
    """

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self._found: dict[str, Found] = {}
        self._dropped: dict[str, tuple[str, str]] = {}
        self._noted: set[str] = set()

    def find(self, name: str) -> Found:
        """Returns what a name means; the same name always means the same."""
        if name not in self._found:
            self._found[name] = self._look(name)
        return self._found[name]

    def is_image(self, name: object) -> bool:
        """Returns whether a value is evidently the name of an image: a file's, or one with an image's ending."""
        if not isinstance(name, str):
            return False
        found = self.find(name)
        return found.there or is_file_name(found.image_id)

    def add(self, name: str, caption: str, split: str = "", key: str | None = None) -> None:
        """Takes one row; see ``Rows.add``. The number after a name's ``#`` is its key where none is given.

        Raises:
            DataError: Two names of different folders would mean one file, or as ``Rows.add``.
        """
        found = self.find(name)
        if found.there and name not in self._noted:
            self._note(name, found)
        self.rows.add(found.image_id, caption, split, key=found.key if key is None else key)

    def _note(self, name: str, found: Found) -> None:
        self._noted.add(name)
        other = self._dropped.setdefault(found.image_id, (found.dropped, name))
        if other[0] != found.dropped:
            raise DataError(
                f"{self.rows.source}: '{other[1]}' and '{name}' would both be the image {found.image_id} in "
                f"{self.rows.folder.root}: write their paths below that folder"
            )
        if found.remark:
            self.rows.repaired.add(found.remark, f"{name.strip()} → {found.image_id}")

    def _look(self, name: str) -> Found:
        folder = self.rows.folder
        bare = name.strip().strip("\ufeff")
        for given, key, remark in _forms(bare):
            for part, dropped in _tails(given):
                image_id = safe_id(part)
                if image_id is None:
                    continue
                image_id = folder.completed(image_id) if self.rows.complete else image_id
                spelled = image_id if folder.find(image_id) is not None else folder.spelled(image_id)
                if spelled is not None:
                    case = CASE if spelled != image_id else ""
                    return Found(spelled, key, True, remark or (_FOLDERS if dropped else case), dropped)
        numbered = NUMBER.fullmatch(bare)
        return Found(numbered[1], numbered[2]) if numbered else Found(bare)


def is_file_name(text: str) -> bool:
    """Returns whether a text ends as names of images do, a number such as ``#0`` behind it or not."""
    stem, dot, ending = text.strip().strip("'\"").rpartition(".")
    return bool(dot and stem) and f".{ending.partition('#')[0].lower()}" in IMAGES


def plain(name: str) -> str:
    """Returns the last part of a name in lower case, decoded, without number and quotes: what different forms share."""
    bare = name.strip().strip("\ufeff'\"")
    if "://" in bare:
        bare = re.split(r"[?#]", bare, maxsplit=1)[0]
    elif numbered := NUMBER.fullmatch(bare):
        bare = numbered[1]
    return re.split(r"[\\/]", unquote(bare) if "%" in bare else bare)[-1].casefold()


def _forms(name: str) -> Iterator[tuple[str, str | None, str]]:
    """Yields what a name may be, the likeliest first: the name, the number of the caption, and a remark."""
    yield name, None, ""
    key = None
    if numbered := NUMBER.fullmatch(name):
        name, key = numbered[1], numbered[2]
        yield name, key, ""
    if name[:1] in "'\"" and name[:1] == name[-1:]:
        name = name[1:-1]
        yield name, key, _QUOTES
    if "://" in name:
        name = re.split(r"[?#]", name, maxsplit=1)[0]
        yield name, key, ""
    if "%" in name:
        yield unquote(name), key, _CODED


def _tails(name: str) -> Iterator[tuple[str, str]]:
    """Yields a name, then the name without its first folders; and those folders, however they are written."""
    yield name, ""
    parts = [part for part in re.split(r"[\\/]", name) if part not in ("", ".")]
    for drop in range(max(len(parts) - _DEPTH, 0), len(parts)):
        tail = "/".join(parts[drop:])
        if tail != name and ".." not in parts[drop:]:
            yield tail, "/".join(parts[:drop]).casefold()
