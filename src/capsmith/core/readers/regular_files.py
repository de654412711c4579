"""Reading of regular files up to a maximum size.

Reading a pipe could block forever, and a device such as ``/dev/zero`` never ends.
"""

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

SMALL_FILE = 2**20
"""Maximum size in bytes of a config, or of a small file such as ``encoder.json``."""
LARGE_FILE = 2**31
"""Maximum size in bytes of files that grow with a dataset: captions, manifests, vocabularies."""
_CHUNK = 2**20
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def describe_special(path: Path) -> str | None:
    """Describes a path that is not a regular file, as in ``it is a pipe, not a file``; None for all others."""
    try:
        return _special(path.stat().st_mode)
    except (OSError, ValueError):
        return None


def open_regular(path: Path) -> BufferedReader:
    """Opens a regular file for reading in binary.

    Args:
        path: The file; links are followed.

    Raises:
        OSError: The file cannot be opened, or is a folder, a pipe, a device or a socket; ``strerror`` says which.
    """
    try:
        _require_regular(os.stat(path), path)  # before opening: opening a device may have effects
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        handle = os.open(path, flags)
    except ValueError as error:  # a zero byte in the name
        raise OSError(errno.EINVAL, str(error), str(path)) from error
    try:
        _require_regular(os.fstat(handle), path)
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read_bytes(path: Path, limit: int = LARGE_FILE) -> bytes:
    """Returns the content of a regular file.

    Args:
        path: The file.
        limit: Maximum size in bytes.

    Raises:
        OSError: As ``open_regular``, or the file is larger than the limit.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        _require_size(size, limit, path)
        parts = [file.read(size + 1)]
        while len(parts[-1]) and (total := sum(map(len, parts))) > size:  # the file is growing, or is in /proc
            _require_size(total, limit, path)
            parts.append(file.read(_CHUNK))
    return b"".join(parts)


def read_text(path: Path, limit: int = LARGE_FILE, errors: str = "strict") -> str:
    """Returns the content of a regular file as UTF-8 text, with or without a byte order mark. Line ends are kept.

    Args:
        path: The file.
        limit: Maximum size in bytes.
        errors: How to handle bytes that are not UTF-8, as in ``bytes.decode``.

    Raises:
        OSError: As ``read_bytes``.
        UnicodeDecodeError: The content is not UTF-8.
    """
    return read_bytes(path, limit).decode("utf-8-sig", errors)


def shown_size(size: int) -> str:
    """Returns a number of bytes with a unit, such as ``2.1 GB``."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            return f"{size / unit:,.1f} {name}"
    return f"{size} bytes"


def _special(mode: int) -> str | None:
    if stat.S_ISREG(mode):
        return None
    kind = next((name for test, name in _KINDS if test(mode)), "something else")
    return f"it is {kind}, not a file"


def _require_regular(status: os.stat_result, path: Path) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if special := _special(status.st_mode):
        raise OSError(errno.EINVAL, special, str(path))


def _require_size(size: int, limit: int, path: Path) -> None:
    if size > limit:
        message = f"it has {shown_size(size)}, more than the allowed {shown_size(limit)}"
        raise OSError(errno.EFBIG, message, str(path))
