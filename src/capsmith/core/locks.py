"""Locks that keep two processes from writing into one folder. The system releases the lock of a process that dies."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from capsmith.core.errors import CapsmithError

try:
    import fcntl
except ImportError:  # Windows: no locks, so two processes may write into one folder
    fcntl = None  # type: ignore[assignment]

FILE = ".lock"


@contextlib.contextmanager
def locked(folder: Path, busy: str, error: type[CapsmithError], name: str = FILE) -> Iterator[None]:
    """Holds an exclusive lock on a folder inside the block.

    Args:
        folder: An existing folder; the lock file remains in it.
        busy: The message if another process holds the lock.
        error: The exception to raise in that case, or if the lock file cannot be written.
        name: The lock file, which may have content: nothing is written to it.
    """
    try:
        file = (folder / name).open("ab")
    except OSError as cause:
        raise error(f"cannot write {folder / name}: {cause.strerror or cause}") from cause
    with file:
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as cause:
            raise error(busy) from cause
        except OSError:
            pass  # a file system without locks, such as some network drives: continue without the lock
        yield
