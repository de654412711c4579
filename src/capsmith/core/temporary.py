"""Temporary files beside those that they will become, and what killed processes left of them.

The name of a temporary file or folder begins with ``.capsmith-`` and eight random characters. It is locked for as long
as its process lives; the system drops the lock of one that dies. So whoever finds one that is not locked may remove it.
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
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

PREFIX = ".capsmith-"
_OURS = re.compile(re.escape(PREFIX) + r"[a-z0-9_]{8}(-.*)?", re.DOTALL)
_ENDING = 40  # characters of the final name that the temporary one shows: names have at most 255 bytes
_OLD = 24 * 3600  # seconds after which a file is abandoned where nothing can be locked
_TRIES = 5
_swept: set[str] = set()


@contextlib.contextmanager
def temporary_file(path: Path) -> Iterator[tuple[int, str]]:
    """Gives an open descriptor, which the caller closes, and the name of a file beside ``path``; it is removed at last.

    Raises:
        OSError: The folder cannot be written.
    """
    sweep(path.parent)

    def make() -> tuple[int, str]:
        return tempfile.mkstemp(dir=path.parent, prefix=PREFIX, suffix=f"-{path.name[-_ENDING:]}")

    handle, name, lock = _locked(make)
    try:
        yield handle, name
    finally:
        with contextlib.suppress(OSError):  # it may have its final name
            os.unlink(name)
        os.close(lock)


@contextlib.contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """Gives a folder beside ``path``; it is removed at last, with all that is in it.

    Raises:
        OSError: The folder cannot be written.
    """
    sweep(path.parent)

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


def sweep(folder: Path) -> None:
    """Removes what killed processes left in a folder, once a process; what a living one holds stays."""
    place = os.path.abspath(folder)
    if place in _swept:
        return
    _swept.add(place)
    try:
        with os.scandir(place) as entries:
            found = [entry.path for entry in entries if _OURS.fullmatch(entry.name)]
    except OSError:
        return  # not there yet, or the writing that follows says why it cannot be
    for path in found:
        with contextlib.suppress(OSError):
            _remove_abandoned(path)


def _locked(make: Callable[[], tuple[int, str]]) -> tuple[int, str, int]:
    """Makes a file or folder and locks it; returns descriptor, name, and a second descriptor that holds the lock."""
    for _ in range(_TRIES):
        handle, name = make()
        if fcntl is not None:
            with contextlib.suppress(OSError):  # a file system that knows no locks
                fcntl.flock(handle, fcntl.LOCK_EX)
        if os.path.lexists(name):
            break
        os.close(handle)  # another process swept it before it was locked
    return handle, name, os.dup(handle)


def _remove_abandoned(path: str) -> None:
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    try:
        if not _abandoned(handle):
            return
        if os.path.isdir(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)
    finally:
        os.close(handle)


def _abandoned(handle: int) -> bool:
    if fcntl is not None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            pass
        else:
            return True
    return time.time() - os.fstat(handle).st_mtime > _OLD
