"""Keeping two processes from writing into one folder; the system drops the lock of one that dies."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from capsmith.core.errors import CapsmithError

try:
    import fcntl
except ImportError:  # not on Windows, where two processes in one folder are not kept apart
    fcntl = None  # type: ignore[assignment]

FILE = ".lock"


@contextlib.contextmanager
def locked(folder: Path, busy: str, error: type[CapsmithError]) -> Iterator[None]:
    """Holds a folder that is there against other processes for the duration.

    Args:
        folder: The folder; a file ``.lock`` stays in it.
        busy: What to say when another process holds it.
        error: What to raise then, or when the lock cannot be written.
    """
    try:
        file = (folder / FILE).open("ab")
    except OSError as cause:
        raise error(f"cannot write {folder / FILE}: {cause.strerror or cause}") from cause
    with file:
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as cause:
            raise error(busy) from cause
        except OSError:
            pass  # a file system that knows no locks, such as some network drives: better unguarded than not at all
        yield
