"""What a sharded job reads: a folder of images, WebDataset tars, or Parquet files; and the images of a block.

In a tar, an image is a member with an image extension. In a Parquet file, a row is an image: the column ``image`` (or
``jpg``, ``jpeg``, ``png``, ``webp``, ``bytes``) holds the bytes of a file, or Hugging Face's struct of bytes and path;
its id is the column ``id``, ``key``, ``image_id``, ``file_name`` or ``path``, else the number of the row.
"""

import fnmatch
import os
import tarfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from capsmith.core.errors import DataError, ImageError, one_line
from capsmith.data.image_listing import endings, is_image_name
from capsmith.deploy.batch.places import Entry, Place
from capsmith.deploy.batch.plan import BLOCK, Kind, Plan, Unit, import_pyarrow
from capsmith.vision.image_files import MAX_BYTES, read_image

IMAGE_COLUMNS = ("image", "jpg", "jpeg", "png", "webp", "bytes")
ID_COLUMNS = ("id", "key", "__key__", "image_id", "file_name", "path")
_GLOB = frozenset("*?[")


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
    plan = Plan.make(folder, input.uri, kind, units, per_block)
    if not plan.units:
        raise DataError(f"{address} has no images ({endings()}), no .tar and no .parquet files")
    return plan


def images_of(plan: Plan, units: Sequence[Unit]) -> Iterator[NamedImage]:
    """Yields the images of a block.

    Raises:
        DataError: A tar or Parquet file cannot be read.
    """
    place = Place(plan.input)
    for unit in units:
        if plan.kind == "tars":
            yield from _members(place, unit)
        elif plan.kind == "parquet":
            yield from _rows(place, unit)
        else:
            path = None if place.local is None else place.local / (unit.path or unit.name)
            yield NamedImage(unit.name, unit.size, partial(_read, place, unit), path)


# --- finding -------------------------------------------------------------------------------------------------------


def _found(address: str, recursive: bool) -> tuple[Place, Kind, Iterator[Entry]]:
    head, _, tail = address.rpartition("/")
    if _GLOB & set(tail) or tail.endswith((".tar", ".parquet")):
        place = Place(head or ("/" if address.startswith("/") else "."))
        entries = [entry for entry in place.entries()[0] if fnmatch.fnmatchcase(entry.name, tail) or entry.name == tail]
        if not entries:
            raise DataError(f"{address}: no such file")
        return (place, *_of_files(address, entries))
    place = Place(address)
    files, folders = place.entries()
    if not files and not folders:
        raise DataError(f"{address}: no such folder, or it is empty")
    packed = [entry for entry in files if entry.name.endswith((".tar", ".parquet"))]
    if packed and not any(is_image_name(entry.name) for entry in files):
        return (place, *_of_files(address, packed))
    return place, "images", (e for e in place.walk(recursive) if is_image_name(e.name.rpartition("/")[2]))


def _of_files(address: str, entries: Sequence[Entry]) -> tuple[Kind, Iterator[Entry]]:
    tars = [entry for entry in entries if entry.name.endswith(".tar")]
    rows = [entry for entry in entries if entry.name.endswith(".parquet")]
    if len(tars) + len(rows) != len(entries) or (tars and rows):
        raise DataError(f"{address}: files of several kinds; name .tar files, .parquet files, or a folder of images")
    return ("tars", iter(tars)) if tars else ("parquet", iter(rows))


def _ranges(place: Place, unit: Unit, most: int) -> Iterator[Unit]:
    with _parquet(place, unit.name) as file:
        rows = file.metadata.num_rows
    for first in range(0, rows, most):
        yield unit._replace(first=first, rows=min(most, rows - first))


# --- reading -------------------------------------------------------------------------------------------------------


def _read(place: Place, unit: Unit) -> bytes:
    if place.local is not None:
        return read_image(unit.path or place.local / unit.name, unit.path or unit.name)
    try:
        return place.read(unit.name)
    except DataError as error:
        raise ImageError(str(error)) from error


def _members(place: Place, unit: Unit) -> Iterator[NamedImage]:
    try:
        with place.open(unit.name) as file, tarfile.open(fileobj=file, mode="r|") as tar:
            for member in tar:
                if not member.isreg() or not is_image_name(os.path.basename(member.name)):
                    continue
                content = None
                if member.size <= MAX_BYTES and (opened := tar.extractfile(member)) is not None:
                    content = opened.read()
                yield NamedImage(member.name.removeprefix("./"), member.size, partial(_content, member.name, content))
    except tarfile.TarError as error:
        raise DataError(f"{place}/{unit.name} is damaged, or not a tar file: {one_line(error)}") from error


def _rows(place: Place, unit: Unit) -> Iterator[NamedImage]:
    with _parquet(place, unit.name) as file:
        names = file.schema_arrow.names
        column = next((name for name in IMAGE_COLUMNS if name in names), None)
        if column is None:
            known = ", ".join(IMAGE_COLUMNS)
            raise DataError(f"{place}/{unit.name}: no column of images ({known}); it has {', '.join(names)[:200]}")
        key = next((name for name in ID_COLUMNS if name in names), None)
        wanted = [column, *([key] if key else [])]
        for number, row in _between(file, unit.first, unit.first + unit.rows, wanted):
            value = row[column]
            given = value.get("path") if isinstance(value, dict) else None
            content = value.get("bytes") if isinstance(value, dict) else value
            name = str(row[key]) if key else str(given or f"{unit.name}/{number}")
            content = content if isinstance(content, bytes) else None
            yield NamedImage(name, len(content or b""), partial(_content, name, content))


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


class _parquet:  # noqa: N801 - a context manager
    """Opens a Parquet file of a place.

    Raises:
        DataError: It is none, or damaged.
    """

    def __init__(self, place: Place, name: str) -> None:
        self._opening, self._name = place.open(name), f"{place}/{name}"

    def __enter__(self) -> Any:
        arrow, parquet = import_pyarrow()
        self._error = arrow.ArrowException
        file = self._opening.__enter__()
        try:
            return parquet.ParquetFile(file)
        except (arrow.ArrowException, OSError) as error:
            self._opening.__exit__(None, None, None)
            raise DataError(f"{self._name} is damaged, or not a Parquet file: {one_line(error)[:200]}") from error

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._opening.__exit__(None, None, None)
        if isinstance(error, self._error):
            raise DataError(f"{self._name} is damaged: {one_line(error)[:200]}") from error


def _content(name: str, content: bytes | None) -> bytes:
    if content is None:
        raise ImageError(f"{name}: it holds no image, or one that is too large")
    return content
