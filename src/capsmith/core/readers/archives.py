"""Zip archives that somebody may have made to fill the memory or the disk when they are unpacked."""

import io
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from capsmith.core.errors import CapsmithError, one_line
from capsmith.core.readers.regular_files import open_regular, shown_size

MOST_EXPANDED = 100
"""A member larger than ``ANY_SIZE`` may unpack to so many times what it takes in the archive."""
ANY_SIZE = 16 * 2**20
"""Bytes that any member may unpack to, however well it is packed."""
_DIRECTORY = 4 * 2**20  # bytes of the list of members: some 40,000 names
_CHUNK = 2**20


class ArchiveError(ValueError):
    """An archive that is damaged, or not what it should be; the message says why, on one line."""


@contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Opens a zip archive of which every member unpacks to a sensible size.

    What the list of members says of sizes binds: more than that is never unpacked, and less is an error.

    Args:
        path: The archive.

    Raises:
        ArchiveError: It is damaged, packed in another way than zip's usual one, has a name twice, or a member would
            unpack to far more than it takes in the archive. The same for whatever goes wrong within ``with`` while
            members are read.
        OSError: The file cannot be opened, or is no regular file.
    """
    with _Bounded(open_regular(path).detach()) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                file.listed = True
                _require_sane(archive, os.fstat(file.fileno()).st_size)
                yield archive
        except (CapsmithError, ArchiveError, OSError):
            raise
        except Exception as error:  # zipfile, zlib and struct raise whatever a damaged byte leads to
            raise ArchiveError(one_line(error)) from error


def read_member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """Returns the content of a member.

    Raises:
        ArchiveError: There is none of that name, or it unpacks to more than ``limit`` bytes.
    """
    try:
        size = archive.getinfo(name).file_size
    except KeyError:
        raise ArchiveError(f"it holds no {name}") from None
    if size > limit:
        raise ArchiveError(f"its {name} unpacks to {shown_size(size)}, more than the {shown_size(limit)} it may have")
    with archive.open(name) as member:
        return member.read(size)  # bounded: without a size, zipfile unpacks what comes before it looks how much it is


def verify_members(archive: zipfile.ZipFile) -> None:
    """Unpacks every member and throws it away: another reader may then trust the sizes that are listed.

    Raises:
        ArchiveError: A member holds more or less than the list says. (A wrong checksum raises as zipfile does.)
    """
    for listed in archive.infolist():
        with archive.open(listed) as member:
            total = sum(len(part) for part in iter(lambda: member.read(_CHUNK), b""))  # noqa: B023
        if total != listed.file_size:
            raise ArchiveError(f"its {listed.filename[:60]!r} has not the size that is listed")


def _require_sane(archive: zipfile.ZipFile, size: int) -> None:
    names: set[str] = set()
    packed = 0
    for member in archive.infolist():
        if member.filename in names:
            raise ArchiveError(f"it holds {member.filename[:60]!r} twice")
        names.add(member.filename)
        packed += member.compress_size
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ArchiveError(f"its {member.filename[:60]!r} is packed in an unusual way ({member.compress_type})")
        if member.file_size > max(ANY_SIZE, MOST_EXPANDED * member.compress_size):
            raise ArchiveError(
                f"its {member.filename[:60]!r} would unpack to {shown_size(member.file_size)} "
                f"from {shown_size(member.compress_size)}"
            )
    if packed > size:
        raise ArchiveError("its members overlap")


class _Bounded(io.BufferedReader):
    """A file that does not give a list of members of which memory would be full."""

    listed = False

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _DIRECTORY and not self.listed:
            raise ArchiveError("its list of members is too long")
        return super().read(size)
