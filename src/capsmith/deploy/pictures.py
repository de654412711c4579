"""Images for pages: small and large JPEGs that this program makes. The small ones are kept in a folder."""

import os
import re
import threading
from collections import OrderedDict
from contextlib import suppress
from io import BytesIO
from pathlib import Path

from capsmith.core.readers.regular_files import SMALL_FILE, read_bytes
from capsmith.core.temporary import PREFIX
from capsmith.deploy.folder.journal import Stamp
from capsmith.vision.thumbnails import thumbnail

FOLDER = "thumbnails"
"""The folder of the small images inside the project or index."""
SMALL, LARGE = 480, 1600
"""The longer sides in pixels."""
CACHE = 400_000_000
"""Bytes of small images that are kept."""
_QUALITY = {SMALL: 80, LARGE: 88}
_NAME = re.compile(r"[0-9]+-[0-9a-f]+-[0-9a-f]+\.thumb")  # no ending of an image: no command captions them
_START, _END = b"\xff\xd8", b"\xff\xd9"


class Pictures:
    """Makes JPEGs of images. Its methods may be called by any thread.

    Args:
        home: The folder of the project or index.
        limit: Bytes of small images that are kept; the oldest are removed.
    """

    def __init__(self, home: Path, limit: int = CACHE) -> None:
        self._folder, self._limit = home / FOLDER, limit
        self._lock = threading.Lock()
        self._sizes: OrderedDict[str, int] = OrderedDict()  # oldest first
        with suppress(OSError):
            self._folder.mkdir(exist_ok=True)
        self._kept = self._folder.is_dir() and not self._folder.is_symlink()
        if self._kept:
            self._list()

    def small(self, id: int, path: Path) -> bytes:
        """Returns a small JPEG of an image.

        Raises:
            ImageError: The image cannot be read.
        """
        stamp = Stamp.of(path)
        name = f"{id}-{stamp.mtime & (1 << 64) - 1:x}-{stamp.size:x}.thumb" if stamp and self._kept else ""
        if name and (known := self._read(name)):
            return known
        data = _jpeg(path, SMALL)
        if name:
            self._write(name, data)
        return data

    def large(self, path: Path) -> bytes:
        """Returns a large JPEG of an image.

        Raises:
            ImageError: The image cannot be read.
        """
        return _jpeg(path, LARGE)

    def _list(self) -> None:
        with os.scandir(self._folder) as entries:
            found = []
            for entry in entries:
                with suppress(OSError):
                    if _NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                        found.append((entry.stat(follow_symlinks=False), entry.name))
        for status, name in sorted(found, key=lambda one: one[0].st_mtime_ns):
            self._sizes[name] = status.st_size

    def _read(self, name: str) -> bytes | None:
        with self._lock:
            if name not in self._sizes:
                return None
            self._sizes.move_to_end(name)
        with suppress(OSError, ValueError):
            data = read_bytes(self._folder / name, SMALL_FILE)
            if data.startswith(_START) and data.endswith(_END):  # not torn by a loss of power
                return data
        return None

    def _write(self, name: str, data: bytes) -> None:
        temporary = self._folder / f"{PREFIX}{threading.get_ident():x}-{name}"
        try:
            temporary.write_bytes(data)
            os.replace(temporary, self._folder / name)
        except OSError:  # a full disk, for example: it is only a cache
            with suppress(OSError):
                temporary.unlink()
            return
        with self._lock:
            self._sizes[name] = len(data)
            while sum(self._sizes.values()) > self._limit:
                oldest, _ = self._sizes.popitem(last=False)
                with suppress(OSError):
                    (self._folder / oldest).unlink()


def _jpeg(path: Path, side: int) -> bytes:
    data = BytesIO()
    thumbnail(path, side).save(data, "JPEG", quality=_QUALITY[side], optimize=side == SMALL)
    return data.getvalue()
