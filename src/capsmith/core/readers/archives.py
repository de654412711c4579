"""Reading of zip archives, protected against those that would fill memory or disk when unpacked (zip bombs)."""

import io
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from capsmith.core.errors import CapsmithError, one_line
from capsmith.core.readers.regular_files import open_regular, shown_size

MAX_RATIO = 100
"""Largest ratio of unpacked to packed size for members larger than ``UNCHECKED_SIZE``."""
UNCHECKED_SIZE = 16 * 2**20
"""Unpacked size in bytes up to which any ratio is allowed."""
_MAX_DIRECTORY = 4 * 2**20  # bytes of the list of members: about 40,000 names
_CHUNK = 2**20


class ArchiveError(ValueError):
    """An archive is damaged or unexpected; the message states the reason on one line."""


@contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Opens a zip archive whose members all unpack to a reasonable size.

    The sizes in the list of members are binding: no more than the listed size is unpacked, and less is an error.

    Args:
        path: The archive.

    Raises:
        ArchiveError: The archive is damaged, uses an unusual compression, repeats a name, or has a member that would
            unpack to far more than its packed size. Also raised for errors while members are read inside the block.
        OSError: The file cannot be opened, or is not a regular file.
    """
    with _Bounded(open_regular(path).detach()) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                file.listed = True
                _check_members(archive, os.fstat(file.fileno()).st_size)
                yield archive
        except (CapsmithError, ArchiveError, OSError):
            raise
        except Exception as error:  # zipfile, zlib and struct raise many types for damaged files
            raise ArchiveError(one_line(error)) from error


def read_member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """Returns the content of a member.

    Raises:
        ArchiveError: The member is missing, or unpacks to more than ``limit`` bytes.
    """
    try:
        size = archive.getinfo(name).file_size
    except KeyError:
        raise ArchiveError(f"it contains no {name}") from None
    if size > limit:
        raise ArchiveError(f"its {name} unpacks to {shown_size(size)}, more than the allowed {shown_size(limit)}")
    with archive.open(name) as member:
        return member.read(size)  # with a size, zipfile does not unpack more than it


def verify_members(archive: zipfile.ZipFile) -> None:
    """Unpacks and discards every member, so that another reader may trust the listed sizes.

    Raises:
        ArchiveError: A member is larger or smaller than listed. A wrong checksum raises as in ``zipfile``.
    """
    for listed in archive.infolist():
        with archive.open(listed) as member:
            total = sum(len(part) for part in iter(lambda: member.read(_CHUNK), b""))  # noqa: B023
        if total != listed.file_size:
            raise ArchiveError(f"its {listed.filename[:60]!r} does not have its listed size")


def _check_members(archive: zipfile.ZipFile, size: int) -> None:
    names: set[str] = set()
    packed = 0
    for member in archive.infolist():
        if member.filename in names:
            raise ArchiveError(f"it holds {member.filename[:60]!r} twice")
        names.add(member.filename)
        packed += member.compress_size
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ArchiveError(f"its {member.filename[:60]!r} uses an unusual compression ({member.compress_type})")
        if member.file_size > max(UNCHECKED_SIZE, MAX_RATIO * member.compress_size):
            raise ArchiveError(
                f"its {member.filename[:60]!r} would unpack to {shown_size(member.file_size)} "
                f"from {shown_size(member.compress_size)}"
            )
    if packed > size:
        raise ArchiveError("its members overlap")


class _Bounded(io.BufferedReader):
    """A file that refuses to read a list of members too long for memory."""

    listed = False

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _MAX_DIRECTORY and not self.listed:
            raise ArchiveError("its list of members is too long")
        return super().read(size)
