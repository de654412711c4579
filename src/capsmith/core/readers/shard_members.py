"""Files inside shards: ``train-000000.tar/000001.jpg``, and ``train.parquet/image/123`` for a row's image.

Such a path is a plain ``Path`` whose parent is a file. Indexes of tars and open Parquet files are cached. All functions
may be called by several threads, and after a fork.
"""

import errno
import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from capsmith.core.readers.parquet_rows import ParquetRows
from capsmith.core.readers.regular_files import open_regular, shown_size
from capsmith.core.readers.tar_index import ShardError, TarIndex

TAR, PARQUET = ".tar", ".parquet"
_INDEXES = 256  # of tars; 10,000 members take about 0.5 MB
_FILES = 8  # open Parquet files
T = TypeVar("T", covariant=True)
_State = tuple[int, int, int]


class _Reader(Protocol[T]):
    def __call__(self, path: Path) -> T: ...


class _Cache(Generic[T]):
    """What was read of the files used last; read again when a file changes."""

    def __init__(self, read: _Reader[T], most: int) -> None:
        self._read, self._most = read, most
        self.clear()

    def clear(self) -> None:
        """Forgets everything, the lock included: another thread may hold it during a fork."""
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[_State, T]] = OrderedDict()

    def __call__(self, path: Path) -> T:
        status = os.stat(path)
        state = status.st_ino, status.st_size, status.st_mtime_ns
        with self._lock:  # also while reading: other threads need the same file
            kept = self._kept.get(str(path))
            if kept is None or kept[0] != state:
                kept = state, self._read(path)
                self._kept[str(path)] = kept
            self._kept.move_to_end(str(path))
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
            return kept[1]


tar_index = _Cache(TarIndex.read, _INDEXES)
"""Returns the index of a tar file; raises as ``TarIndex.read``."""
parquet_rows = _Cache(ParquetRows, _FILES)
"""Returns an open Parquet file; raises as ``ParquetRows``."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=tar_index.clear)
    os.register_at_fork(after_in_child=parquet_rows.clear)


def split_member(path: Path) -> tuple[Path, str] | None:
    """Returns the shard of a path and the member's name in it; None if no part of the path is a shard."""
    for parent in path.parents:
        if parent.suffix.lower() in (TAR, PARQUET) and parent.is_file():
            return parent, path.relative_to(parent).as_posix()
    return None


def read_member(path: Path, limit: int) -> bytes | None:
    """Returns the content of a member; None if no part of the path is a shard.

    Args:
        path: The path through the shard.
        limit: Maximum size in bytes.

    Raises:
        ShardError: The shard cannot be read; the message names it.
        OSError: The shard has no such member, or it is too large.
    """
    if (parts := split_member(path)) is None:
        return None
    shard, name = parts
    try:
        content = _row(shard, name) if shard.suffix.lower() == PARQUET else _member(shard, name, limit)
    except ShardError as error:
        raise ShardError(f"{shard.name}: {error}") from error
    if len(content) > limit:
        raise _too_large(path, len(content), limit)
    return content


def file_size(path: Path) -> int:
    """Returns the size of a file or member in bytes; of a row, see ``ParquetRows.size``; -1 if there is none."""
    try:
        return path.stat().st_size
    except (NotADirectoryError, FileNotFoundError):
        pass
    except OSError:
        return -1
    try:
        if (parts := split_member(path)) is None:
            return -1
        shard, name = parts
        if shard.suffix.lower() == PARQUET:
            column, _, row = name.rpartition("/")
            return parquet_rows(shard).size(column, int(row))
        found = tar_index(shard).find(name)
        return -1 if found is None else found[1]
    except (OSError, ValueError, IndexError):
        return -1


def read_at(path: Path, offset: int, size: int) -> bytes:
    """Returns a part of a file.

    Raises:
        ShardError: The file is shorter than expected.
        OSError: It cannot be read.
    """
    with open_regular(path) as file:
        file.seek(offset)
        content = file.read(size)
    if len(content) != size:
        raise ShardError("it has become shorter while it was read")
    return content


def _member(shard: Path, name: str, limit: int) -> bytes:
    if (found := tar_index(shard).find(name)) is None:
        raise FileNotFoundError(errno.ENOENT, f"no such member of {shard.name}", str(shard))
    if found[1] > limit:
        raise _too_large(shard / name, found[1], limit)
    return read_at(shard, *found)


def _row(shard: Path, name: str) -> bytes:
    column, _, row = name.rpartition("/")
    try:
        value = parquet_rows(shard).value(column, int(row))
    except (IndexError, ValueError) as error:
        if isinstance(error, ShardError):
            raise
        raise FileNotFoundError(errno.ENOENT, f"no such row of {shard.name}", str(shard)) from error
    if value is None:
        raise FileNotFoundError(errno.ENOENT, f"{shard.name} has no image in row {row}", str(shard))
    return value


def _too_large(path: Path, size: int, limit: int) -> OSError:
    message = f"it has {shown_size(size)}, more than the allowed {shown_size(limit)}"
    return OSError(errno.EFBIG, message, str(path))
