"""Index of a tar file: where each member's bytes are. Nothing is ever extracted.

Only names, offsets and sizes of regular members are kept, in arrays. Links, devices, folders and sparse files are not
read. A header may be at most ``_MAX_HEADER`` bytes long, so that a hostile file cannot fill memory.
"""

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from capsmith.core.errors import one_line
from capsmith.core.readers.regular_files import open_regular, shown_size
from capsmith.core.unicode import nfc

_MAX_NAME = 1000  # bytes
_MAX_HEADER = 2**20  # bytes of an extended header
MAX_GLOBAL = 1000
"""Settings for all members that a tar file may have: tarfile copies them for each."""
_PACKED = ((b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ", "xz"), (b"\x28\xb5\x2f\xfd", "zstd"))


class ShardError(ValueError):
    """A shard is damaged or unexpected; the message states the reason on one line, without the file's name."""


class TarIndex:
    """The regular members of a tar file, in its order.

    Args:
        names: Their names, encoded.
        offsets: First byte of each.
        sizes: Bytes of each.
        skipped: Other members: the reason and the name.
        has_end: Whether the file ends with the mark that says so; without one it may be cut off.
    """

    def __init__(
        self,
        names: list[bytes],
        offsets: list[int],
        sizes: list[int],
        skipped: list[tuple[str, str]],
        has_end: bool = True,
    ) -> None:
        self._names = np.array(names, np.bytes_) if names else np.zeros(0, "S1")
        self._offsets, self._sizes = np.array(offsets, np.int64), np.array(sizes, np.int64)
        self.skipped, self.has_end = skipped, has_end
        self._sorter = np.argsort(self._names, kind="stable")
        ranked = self._names[self._sorter]
        again = self._sorter[1:][ranked[1:] == ranked[:-1]]  # members whose name an earlier one has
        self.skipped += [("repeated member", _decoded(self._names[place])) for place in np.sort(again)]
        self._first = np.ones(len(self._names), bool)
        self._first[again] = False

    def __iter__(self) -> Iterator[tuple[str, int, int]]:
        """Yields name, offset and size of each member; of repeated ones, the first."""
        for name, offset, size in zip(
            self._names[self._first], self._offsets[self._first], self._sizes[self._first], strict=True
        ):
            yield _decoded(name), int(offset), int(size)

    def find(self, name: str) -> tuple[int, int] | None:
        """Returns offset and size of a member; None if there is none."""
        wanted = np.bytes_(_encoded(name))
        place = int(np.searchsorted(self._names, wanted, sorter=self._sorter))
        if place == len(self._names) or self._names[self._sorter[place]] != wanted:
            return None
        return int(self._offsets[self._sorter[place]]), int(self._sizes[self._sorter[place]])

    @classmethod
    def read(cls, path: Path) -> "TarIndex":
        """Reads the headers of a tar file.

        Raises:
            ShardError: It is no tar file, is compressed, or is cut off.
            OSError: It cannot be read.
        """
        names: list[bytes] = []
        offsets: list[int] = []
        sizes: list[int] = []
        skipped: list[tuple[str, str]] = []
        end = 0
        with _Bounded(open_regular(path).detach()) as file:
            length = os.fstat(file.fileno()).st_size
            head = file.read(8)
            if packed := next((name for start, name in _PACKED if head.startswith(start)), None):
                raise ShardError(
                    f"it is compressed with {packed}: unpack it, since images are read from any place of it"
                )
            file.seek(0)
            for member in _members(file):
                name = _encoded(member.name[: _MAX_NAME + 1])
                if member.offset_data + member.size > length or member.size < 0:
                    raise ShardError(f"it is cut off after {len(names):,} members: copy or download it again")
                if member.isdir():
                    continue
                if reason := _why_skipped(member, name):
                    skipped.append((reason, _decoded(name[:100])))
                    continue
                names.append(name)
                offsets.append(member.offset_data)
                sizes.append(member.size)
                end = member.offset_data + member.size
        return cls(names, offsets, sizes, skipped, length >= end + tarfile.BLOCKSIZE)


def _members(file: io.BufferedReader) -> Iterator[tarfile.TarInfo]:
    """Yields the members of a tar file, whose offsets must grow."""
    count, last, rest = 0, -1, b""
    try:
        with tarfile.open(fileobj=file, mode="r:", encoding="utf-8", errors="surrogateescape") as tar:
            while (member := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # tarfile would keep all of them
                if member.offset <= last or member.size < 0:
                    raise ShardError(f"it is damaged after {count:,} members: copy or download it again")
                if len(tar.pax_headers) > MAX_GLOBAL:
                    raise ShardError(f"it has more than {MAX_GLOBAL:,} global settings in its headers")
                last = member.offset
                yield member
                count += 1
            file.seek(tar.offset)
            rest = file.read(tarfile.BLOCKSIZE)
    except (OSError, ShardError):
        raise
    except tarfile.ReadError as error:
        if not count:
            raise ShardError("it is not a tar file, or its beginning is damaged") from error
        raise ShardError(f"it is cut off or damaged after {count:,} members: copy or download it again") from error
    except Exception as error:  # tarfile raises many types for damaged headers, and RecursionError for chains of them
        raise ShardError(f"it is damaged after {count:,} members ({one_line(error)[:100]})") from error
    if rest.strip(b"\0") or 0 < len(rest) < tarfile.BLOCKSIZE:  # tarfile stops silently
        raise ShardError(f"it is cut off or damaged after {count:,} members: copy or download it again")


def _why_skipped(member: tarfile.TarInfo, name: bytes) -> str:
    if member.issym() or member.islnk():
        return "link in a shard"
    if not member.isreg() or member.sparse is not None:
        return "special file in a shard"
    if not name or len(name) > _MAX_NAME or b"\0" in name:
        return "member without a usable name"
    return ""


def _encoded(name: str) -> bytes:
    """Returns a member's name in the form in which it is looked up: without ``./``, composed (NFC)."""
    return nfc(PurePosixPath(name).as_posix()).encode("utf-8", "surrogateescape")


def _decoded(name: bytes) -> str:
    return bytes(name).decode("utf-8", "surrogateescape")


class _Bounded(io.BufferedReader):
    """A file that refuses to read headers too long for memory."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= _MAX_HEADER:
            raise ShardError(f"it has a header of {shown_size(max(size or 0, 0))}")
        return super().read(size)
