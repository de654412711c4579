"""Temporary files and folders beside their final names, and the removal of those that killed processes left behind.

The name of a temporary file or folder starts with ``.capsmith-`` and eight random characters. Its process holds a
lock on it, which the system releases when the process dies. A temporary file without a lock can therefore be removed.
"""

import contextlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

PREFIX = ".capsmith-"
_PATTERN = re.compile(re.escape(PREFIX) + r"[a-z0-9_]{8}(-.*)?", re.DOTALL)
_SUFFIX_LENGTH = 40  # characters of the final name in the temporary one: file names have at most 255 bytes
_MAX_AGE = 24 * 3600  # seconds after which a file counts as abandoned where locks do not work
_ATTEMPTS = 5
_cleaned: set[str] = set()


@contextlib.contextmanager
def temporary_file(path: Path) -> Iterator[tuple[int, str]]:
    """Yields an open descriptor, which the caller closes, and the name of a temporary file beside ``path``.

    The file is removed at the end unless it was renamed.

    Raises:
        OSError: The folder cannot be written.
    """
    remove_abandoned(path.parent)

    def make() -> tuple[int, str]:
        return tempfile.mkstemp(dir=path.parent, prefix=PREFIX, suffix=f"-{path.name[-_SUFFIX_LENGTH:]}")

    handle, name, lock = _locked(make)
    try:
        yield handle, name
    finally:
        with contextlib.suppress(OSError):  # it may have been renamed
            os.unlink(name)
        os.close(lock)


@contextlib.contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """Yields a temporary folder beside ``path``; it is removed at the end, with its content.

    Raises:
        OSError: The parent folder cannot be written.
    """
    remove_abandoned(path.parent)

    def make() -> tuple[int, str]:
        name = tempfile.mkdtemp(dir=path.parent, prefix=PREFIX)
        return (os.open(name, os.O_RDONLY) if fcntl is not None else os.open(os.devnull, os.O_RDONLY)), name

    handle, name, lock = _locked(make)
    try:
        yield Path(name)
    finally:
        shutil.rmtree(name, ignore_errors=True)
        os.close(handle)
        os.close(lock)


def remove_abandoned(folder: Path) -> None:
    """Removes temporary files that killed processes left in a folder; runs once per folder in each process."""
    place = os.path.abspath(folder)
    if place in _cleaned:
        return
    _cleaned.add(place)
    try:
        with os.scandir(place) as entries:
            paths = [entry.path for entry in entries if _PATTERN.fullmatch(entry.name)]
    except OSError:
        return  # the folder does not exist yet, or the following write reports the error
    for path in paths:
        with contextlib.suppress(OSError):
            _remove_if_abandoned(path)


def _locked(make: Callable[[], tuple[int, str]]) -> tuple[int, str, int]:
    """Creates a file or folder and locks it; returns descriptor, name, and a second descriptor that holds the lock."""
    for _ in range(_ATTEMPTS):
        handle, name = make()
        if fcntl is not None:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(handle, fcntl.LOCK_EX)
        if os.path.lexists(name):
            break
        os.close(handle)  # another process removed it before it was locked
    return handle, name, os.dup(handle)


def _remove_if_abandoned(path: str) -> None:
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    try:
        if not _is_abandoned(handle):
            return
        if os.path.isdir(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)
    finally:
        os.close(handle)


def _is_abandoned(handle: int) -> bool:
    if fcntl is not None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            pass
        else:
            return True
    return time.time() - os.fstat(handle).st_mtime > _MAX_AGE
