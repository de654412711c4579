"""What a sharded job reads: a folder of images, WebDataset tars, or Parquet files; and the images of a block.

In a tar, an image is a member with an image extension. In a Parquet file, a row is an image: the column ``image`` (or
``jpg``, ``jpeg``, ``png``, ``webp``, ``bytes``) holds the bytes of a file, or Hugging Face's struct of bytes and path;
its id is the column ``id``, ``key``, ``image_id``, ``file_name`` or ``path``, else the number of the row.

A tar or Parquet file that is cut off or damaged does not end a job: what can be read of it is computed, and the file
itself is one of the images that cannot be read. A store that does not answer ends a job, which can be started again.
"""

import fnmatch
import os
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from capsmith.core.errors import CapsmithError, DataError, ImageError, one_line
from capsmith.core.readers.tar_index import MAX_GLOBAL
from capsmith.data.image_listing import endings, is_image_name
from capsmith.deploy.batch.places import Entry, Place
from capsmith.deploy.batch.plan import BLOCK, Kind, Plan, Unit, import_pyarrow
from capsmith.vision.image_files import MAX_BYTES, read_image

IMAGE_COLUMNS = ("image", "jpg", "jpeg", "png", "webp", "bytes")
ID_COLUMNS = ("id", "key", "__key__", "image_id", "file_name", "path")
_PART = 4 * 2**20  # bytes of a tar that are read at once: of a remote one, each read is a request
_GLOB = frozenset("*?[")
_LONGEST = 200  # characters of a reason


class NamedImage(NamedTuple):
    """An image of a block.

    Attributes:
        name: Its id.
        size: Bytes of its file.
        read: Returns the bytes of its file; raises ImageError if it cannot be read. A decoding thread calls it.
        path: Its file on this machine; None if it is remote, or a part of another file.
    """

    name: str
    size: int
    read: Callable[[], bytes]
    path: Path | None = None


def plan_input(folder: Place, address: str, recursive: bool = True, per_block: int | None = None) -> Plan:
    """Divides an input into blocks.

    Args:
        folder: The folder of the job.
        address: A folder of images, tars or Parquet files; a tar or Parquet file; or a pattern such as
            ``s3://bucket/train-*.tar``.
        recursive: Look for images at any depth.
        per_block: Images in a block; of Parquet files, most rows in a block. None: see ``plan.block_size``.

    Raises:
        DataError: There is nothing to read.
    """
    input, kind, entries = _found(address, recursive)
    units: Iterator[Unit] = (Unit(entry.name, size=entry.size) for entry in entries)
    if kind == "parquet":
        units = (part for unit in units for part in _ranges(input, unit, per_block or BLOCK))
    first = next(units, None)
    if first is None:  # before a plan is kept, which a restart would find
        raise DataError(f"{address} has no images ({endings()}), no .tar and no .parquet files")
    return Plan.make(folder, input.uri, kind, chain([first], units), per_block)


def images_of(plan: Plan, units: Sequence[Unit]) -> Iterator[NamedImage]:
    """Yields the images of a block.

    Raises:
        DataError: A tar or Parquet file cannot be opened, or has changed.
    """
    place = Place(plan.input)
    for unit in units:
        if plan.kind in ("tars", "parquet"):
            try:
                yield from (_members if plan.kind == "tars" else _rows)(place, unit)
            except _DamagedError as error:
                yield NamedImage(unit.name, unit.size, partial(_unreadable, f"{unit.name}: {error}"))
        else:
            path = None if place.local is None else place.local / (unit.path or unit.name)
            yield NamedImage(unit.name, unit.size, partial(_read, place, unit), path)


def require_input(address: str) -> None:
    """Checks that an input is still there, when images could not be read.

    Raises:
        DataError: It is not: a drive that is not mounted must not become a job without images.
    """
    if not Place(address).is_there():
        raise DataError(f"{address} is gone, or empty: mount it again, and run the same command again")


# --- finding -------------------------------------------------------------------------------------------------------


def _found(address: str, recursive: bool) -> tuple[Place, Kind, Iterator[Entry]]:
    head, _, tail = address.rpartition("/")
    above = None
    if tail and not head.endswith(("/", ":")):  # else it is a bucket
        above = Place(head or ("/" if address.startswith("/") else "."))
        if _looks_like_a_file(tail) and above.exists(tail):
            return (above, *_of_files(address, [Entry(tail, above.size(tail))]))
    place = Place(address)
    files, folders = place.entries()
    if not files and not folders:
        if above is None or not _GLOB & set(tail):
            raise DataError(f"{address}: no such file or folder, or it is empty")
        entries = [entry for entry in above.entries()[0] if fnmatch.fnmatchcase(entry.name, tail)]
        if not entries:
            raise DataError(f"{address}: no such files")
        return (above, *_of_files(address, entries))
    packed = [entry for entry in files if entry.name.endswith((".tar", ".parquet"))]
    if packed and not any(is_image_name(entry.name) for entry in files):
        return (place, *_of_files(address, packed))
    found = place.walk(recursive, (files, folders))
    return place, "images", (entry for entry in found if is_image_name(entry.name.rpartition("/")[2]))


def _looks_like_a_file(name: str) -> bool:
    return name.endswith((".tar", ".parquet")) or is_image_name(name)


def _of_files(address: str, entries: Sequence[Entry]) -> tuple[Kind, Iterator[Entry]]:
    kinds: dict[Kind, list[Entry]] = {"tars": [], "parquet": [], "images": []}
    for entry in entries:
        end = entry.name.rpartition(".")[2]
        kinds["tars" if end == "tar" else "parquet" if end == "parquet" else "images"].append(entry)
    kinds["images"] = [entry for entry in kinds["images"] if is_image_name(entry.name)]
    found: list[tuple[Kind, list[Entry]]] = [(kind, some) for kind, some in kinds.items() if some]
    if len(found) > 1:
        raise DataError(f"{address}: files of several kinds; name .tar files, .parquet files, or images")
    return (found[0][0], iter(found[0][1])) if found else ("images", iter(()))


def _ranges(place: Place, unit: Unit, most: int) -> Iterator[Unit]:
    with _parquet(place, unit.name) as file:
        rows = file.metadata.num_rows
    for first in range(0, rows, most):
        yield unit._replace(first=first, rows=min(most, rows - first))


# --- reading -------------------------------------------------------------------------------------------------------


class _DamagedError(Exception):
    """A file is damaged from here on."""


def _read(place: Place, unit: Unit) -> bytes:
    if place.local is not None:
        return read_image(place.local / (unit.path or unit.name), unit.path or unit.name)
    if unit.size > MAX_BYTES:
        raise ImageError(f"{unit.name}: {unit.size:,} bytes is more than the limit of {MAX_BYTES:,}")
    try:
        return place.read(unit.name)
    except DataError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        raise ImageError(f"{unit.name}: the file is gone") from error


def _members(place: Place, unit: Unit) -> Iterator[NamedImage]:
    count = 0
    with place.open(unit.name) as file:
        try:
            tar = tarfile.open(fileobj=file, mode="r|", bufsize=_PART, encoding="utf-8", errors="surrogateescape")
            while (member := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # tarfile would keep all of them
                if len(tar.pax_headers) > MAX_GLOBAL:
                    raise tarfile.ReadError(f"it has more than {MAX_GLOBAL:,} global settings")
                count += 1
                if member.isreg() and is_image_name(os.path.basename(member.name)):
                    opened = tar.extractfile(member) if member.size <= MAX_BYTES and not member.issparse() else None
                    name = member.name.removeprefix("./")
                    yield NamedImage(name, member.size, _reader(name, None if opened is None else opened.read()))
            file.seek(tar.offset)
            if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):  # tarfile takes a damaged header for the end
                raise tarfile.ReadError("its end is missing")
        except (OSError, CapsmithError):
            raise
        except Exception as error:  # tarfile raises many types for damaged headers
            what = f"the tar file is cut off or damaged after {count:,} members" if count else "not a tar file"
            raise _DamagedError(f"{what} ({one_line(error)[:100]})") from error


def _rows(place: Place, unit: Unit) -> Iterator[NamedImage]:
    with _parquet(place, unit.name) as file:
        if file.metadata.num_rows < unit.first + unit.rows:
            raise DataError(f"{place}/{unit.name} has changed since the job was planned: start again in another folder")
        schema = file.schema_arrow
        column = next(
            (name for name in IMAGE_COLUMNS if name in schema.names and _holds_bytes(schema.field(name))), None
        )
        if column is None:
            known = ", ".join(IMAGE_COLUMNS)
            names = ", ".join(schema.names)[:200]
            raise DataError(f"{place}/{unit.name}: no column of bytes of images ({known}); it has {names}")
        key = next((name for name in ID_COLUMNS if name in schema.names), None)
        wanted = [column, *([key] if key else [])]
        for number, row in _between(file, unit.first, unit.first + unit.rows, wanted):
            value = row[column]
            given = value.get("path") if isinstance(value, dict) else None
            content = value.get("bytes") if isinstance(value, dict) else value
            id = row[key] if key else given
            if isinstance(id, bytes):
                id = id.decode("utf-8", "backslashreplace")
            name = f"{unit.name}/{number}" if id is None else str(id)
            yield NamedImage(name, len(content or b""), _reader(name, content))


def _holds_bytes(field: Any) -> bool:
    """Returns whether a column holds bytes, or structs with bytes."""
    type = field.type
    if str(type).startswith("struct"):
        return "bytes" in [type.field(number).name for number in range(type.num_fields)]
    return str(type).removeprefix("large_").startswith(("binary", "fixed_size_binary"))


def _between(file: Any, first: int, last: int, columns: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    start = 0
    for group in range(file.metadata.num_row_groups):
        count = file.metadata.row_group(group).num_rows
        if start < last and start + count > first:
            for batch in file.iter_batches(64, [group], columns):
                if start < last and start + batch.num_rows > first:
                    for number, row in enumerate(batch.to_pylist(), start):
                        if first <= number < last:
                            yield number, row
                start += batch.num_rows
        else:
            start += count


@contextmanager
def _parquet(place: Place, name: str) -> Iterator[Any]:
    """Opens a Parquet file of a place.

    Raises:
        DataError: It is none.
        _DamagedError: What is read of it is damaged.
    """
    arrow, parquet = import_pyarrow()
    with place.open(name) as file:
        try:
            opened = parquet.ParquetFile(file)
        except (arrow.ArrowException, ValueError) as error:
            reason = one_line(error)[:_LONGEST]
            raise DataError(f"{place}/{name} is damaged, or not a Parquet file: {reason}") from error
        try:
            yield opened
        except (arrow.ArrowException, ValueError, OSError) as error:
            if isinstance(error, OSError) and (error.errno or "AWS Error" in str(error)):
                raise  # the store, or the disk; pyarrow raises OSError for content, too
            raise _DamagedError(f"the Parquet file is damaged: {one_line(error)[:_LONGEST]}") from error


def _reader(name: str, content: Any) -> Callable[[], bytes]:
    if isinstance(content, bytes):
        return partial(bytes, content)
    return partial(_unreadable, f"{name}: it holds no image, or one that is too large")


def _unreadable(message: str) -> bytes:
    raise ImageError(message)
