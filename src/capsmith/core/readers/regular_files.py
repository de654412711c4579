"""Opens regular files only, and reads whole files only up to a size.

A pipe would block for ever, and a device such as ``/dev/zero`` never ends.
"""

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

SMALL_FILE = 2**20
"""Bytes that a config, or a note such as ``encoder.json``, may have."""
LARGE_FILE = 2**31
"""Bytes that a file may have which grows with a data set and is read as a whole: captions, manifests, vocabularies."""
_CHUNK = 2**20
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def describe_special(path: Path) -> str | None:
    """Returns what a path is when it exists and is no regular file, such as ``a pipe, not a file``; else None."""
    try:
        return _special(path.stat().st_mode)
    except (OSError, ValueError):
        return None


def open_regular(path: Path) -> BufferedReader:
    """Opens a regular file for reading in binary.

    Args:
        path: The file; links are followed.

    Raises:
        OSError: It cannot be opened, or is a folder, a pipe, a device or a socket; ``strerror`` says which.
    """
    try:
        _require_regular(os.stat(path), path)  # before it is opened: opening a device may do something
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        handle = os.open(path, flags)
    except ValueError as error:  # a zero byte in its name
        raise OSError(errno.EINVAL, str(error), str(path)) from error
    try:
        _require_regular(os.fstat(handle), path)
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read_bytes(path: Path, limit: int = LARGE_FILE) -> bytes:
    """Reads a whole regular file.

    Args:
        path: The file.
        limit: Bytes that it may have.

    Raises:
        OSError: As ``open_regular``, or it is larger than the limit.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        _require_size(size, limit, path)
        parts = [file.read(size + 1)]
        while len(parts[-1]) and (total := sum(map(len, parts))) > size:  # it grows, or is one of /proc
            _require_size(total, limit, path)
            parts.append(file.read(_CHUNK))
    return b"".join(parts)


def read_text(path: Path, limit: int = LARGE_FILE, errors: str = "strict") -> str:
    """Reads a whole regular file as UTF-8, with or without a byte order mark; line ends stay as they are.

    Args:
        path: The file.
        limit: Bytes that it may have.
        errors: What happens to bytes that are not UTF-8, as in ``bytes.decode``.

    Raises:
        OSError: As ``read_bytes``.
        UnicodeDecodeError: It is not UTF-8.
    """
    return read_bytes(path, limit).decode("utf-8-sig", errors)


def shown_size(size: int) -> str:
    """Returns a number of bytes as people read it, such as ``2.1 GB``."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            return f"{size / unit:,.1f} {name}"
    return f"{size} bytes"


def _special(mode: int) -> str | None:
    if stat.S_ISREG(mode):
        return None
    kind = next((name for test, name in _KINDS if test(mode)), "something else")
    return f"it is {kind}, not a file"


def _require_regular(found: os.stat_result, path: Path) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if special := _special(found.st_mode):
        raise OSError(errno.EINVAL, special, str(path))


def _require_size(size: int, limit: int, path: Path) -> None:
    if size > limit:
        said = f"it holds {shown_size(size)}, more than the {shown_size(limit)} that such a file may have"
        raise OSError(errno.EFBIG, said, str(path))
