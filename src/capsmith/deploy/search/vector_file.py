"""Files of vectors: float16 rows that are only appended to, and read as memory maps.

The database says how many rows are committed. What a killed process wrote behind them is cut off; a file with fewer is
damaged. A file has a number: when rows are dropped, the others are copied into the files of the next number.

N vectors · d dimensions.
"""

import errno
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np

from capsmith.core.errors import CapsmithError
from capsmith.deploy.search.index_file import ADVICE, ImageIndexError, require_own_file

KINDS = ("semantic", "visual")
"""The two vectors of an image."""
DTYPE = np.dtype("<f2")
_ROWS = 4096  # rows that are copied at once
_NAME = re.compile(rf"({'|'.join(KINDS)})-[0-9]{{1,18}}\.f16")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class VectorFile:
    """The vectors of one kind.

    Args:
        folder: The index.
        kind: One of ``KINDS``.
        number: The number of the file.
        size: Dimensions (d).
        rows: Committed rows.
    """

    def __init__(self, folder: Path, kind: str, number: int, size: int, rows: int) -> None:
        self.path = folder / f"{kind}-{number}.f16"
        self.kind, self.size, self.rows = kind, size, rows
        require_own_file(self.path)

    def check(self) -> None:
        """Checks that all committed rows are there.

        Raises:
            ImageIndexError: The file is too short, or missing.
        """
        try:
            found = self.path.stat().st_size if self.rows else 0
        except OSError as error:
            raise ImageIndexError(f"cannot read {self.path}: {error.strerror or error}; {ADVICE}") from error
        if found < self._bytes(self.rows):
            raise ImageIndexError(f"{self.path} is truncated ({found:,} of {self._bytes(self.rows):,} bytes): {ADVICE}")

    def read(self) -> np.ndarray:
        """Returns the vectors (N, d), float16, as a memory map.

        Raises:
            ImageIndexError: The file is damaged.
        """
        self.check()
        if not self.rows:
            return np.empty((0, self.size), DTYPE)
        return np.memmap(self.path, DTYPE, "r", shape=(self.rows, self.size))

    def cut(self) -> None:
        """Cuts off what is not committed.

        Raises:
            ImageIndexError: The file is damaged, or cannot be written.
        """
        self.check()
        try:
            with self.path.open("ab") as file:
                file.truncate(self._bytes(self.rows))
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def append(self, vectors: np.ndarray) -> int:
        """Writes vectors (N, d) behind the committed rows; returns their checksum when they are on disk.

        Raises:
            CapsmithError: The disk is full.
        """
        data = np.ascontiguousarray(vectors, DTYPE).tobytes()
        try:
            with self.path.open("r+b") as file:
                file.seek(self._bytes(self.rows))
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise _unwritable(self.path, error) from error
        self.rows += len(vectors)
        return zlib.crc32(data)

    def checksum(self, first: int, count: int) -> int:
        """Returns the checksum of some rows."""
        return zlib.crc32(np.ascontiguousarray(self.read()[first : first + count]).tobytes())

    def _bytes(self, rows: int) -> int:
        return rows * self.size * DTYPE.itemsize


def copied(source: VectorFile, target: VectorFile, rows: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """Copies rows into another file; yields first row, number and checksum of each part."""
    vectors = source.read()
    for first in range(0, len(rows), _ROWS):
        part = rows[first : first + _ROWS]
        yield first, len(part), target.append(vectors[part])


def remove_others(folder: Path, number: int) -> None:
    """Removes files of other numbers, which a killed process left."""
    for name in os.listdir(folder):
        if _NAME.fullmatch(name) and not name.endswith(f"-{number}.f16"):
            with suppress(OSError):
                (folder / name).unlink()


def _unwritable(path: Path, error: OSError) -> CapsmithError:
    more = "; free some space and run the same command again: it goes on from here" if error.errno in _FULL else ""
    return ImageIndexError(f"cannot write {path}: {error.strerror or error}{more}")
