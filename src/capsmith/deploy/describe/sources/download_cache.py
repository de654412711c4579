"""Keeps downloaded files for the next time, up to a size."""

import hashlib
import os
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from capsmith.core.files import atomic
from capsmith.core.readers.regular_files import read_bytes
from capsmith.core.user_cache import user_cache

KEPT = 500_000_000
"""Bytes of a cache; the files that were not used for longest are removed."""
_ENDING = ".kept"  # no ending of an image: no command captions a cache


class DownloadCache:
    """A folder of downloaded files.

    Args:
        folder: The folder; it is created when something is kept.
        limit: Bytes that are kept.
    """

    def __init__(self, folder: Path, limit: int = KEPT) -> None:
        self.folder, self._limit = folder, limit

    @classmethod
    def of_user(cls, name: str) -> "DownloadCache":
        """Returns a cache of this user; where there is no home, one in the current folder."""
        return cls((user_cache() or Path(".capsmith-cache")) / "downloads" / name)

    def path(self, key: str) -> Path:
        """Returns where a key's file is, or would be."""
        return self.folder / (hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:40] + _ENDING)

    def read(self, key: str, seconds: float | None = None) -> bytes | None:
        """Returns a kept file; None if there is none, or if it is older than a number of seconds."""
        path = self.path(key)
        with suppress(OSError):
            if seconds is not None and not 0 <= time.time() - path.stat().st_mtime < seconds:
                return None
            return read_bytes(path)
        return None

    def file(self, key: str, download: Callable[[], bytes]) -> Path:
        """Returns a key's file, which is downloaded if it is not there."""
        path = self.path(key)
        if path.is_file() and not path.is_symlink():
            with suppress(OSError):
                os.utime(path)  # in use
            return path
        self.write(key, download())
        return path

    def write(self, key: str, data: bytes) -> None:
        """Keeps a file.

        Raises:
            CapsmithError: It cannot be written.
        """
        with atomic(self.path(key), "wb") as file:
            file.write(data)

    def trim(self, needed: Collection[Path] = ()) -> None:
        """Removes the files that were not used for longest, until the rest is small enough.

        Args:
            needed: Files that are not removed.
        """
        stamps = []
        for path in self.folder.glob(f"*{_ENDING}"):
            with suppress(OSError):
                status = path.stat()
                stamps.append((status.st_mtime, status.st_size, path))
        excess = sum(size for _, size, _ in stamps) - self._limit
        for _, size, path in sorted(stamps):
            if excess <= 0:
                break
            if path in needed:
                continue
            with suppress(OSError):
                path.unlink()
            excess -= size
