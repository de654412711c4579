"""The plan of a sharded job: its input in numbered blocks.

A plan is made once and kept, so that a restart has the same blocks. It is written and read in pieces: neither the
driver nor a worker holds the names of all images. In the folder ``plan`` of a job::

    units-000000.parquet   name, path, first, rows and size of 100,000 units each
    plan.json              what was divided, and into how many units and blocks; written last

A unit is an image, a tar, or a range of rows of a Parquet file. A block is one tar, one range, or some images.
"""

import io
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal, NamedTuple

from capsmith.core.errors import CheckpointError, MissingExtraError
from capsmith.core.readers.json_files import parse_json
from capsmith.deploy.batch.places import Place

Kind = Literal["images", "tars", "parquet"]
BLOCK = 512
"""Images in a block by default, in jobs that are neither small nor very large: what a dead worker loses at most."""
_STEP, _LARGEST = 64, 4096  # blocks of small jobs are a multiple; images in a block of a very large one
_FEW, _MANY = 32, 20_000  # blocks that a job has if it is small, and if it is very large
_MOST, _MOST_BLOCKS = 1 << 40, 100_000_000  # units, and blocks: a shard is named by eight digits
_PER_FILE = 100_000  # units in a file of the plan
_FOLDER, _FILE = "plan", "plan.json"
_TEXTS = ("name", "path")  # kept as bytes: a file name need not be UTF-8
_SAVED = ("input", "kind", "units", "per_block")


class Unit(NamedTuple):
    """A part of the input.

    Attributes:
        name: Of an image: its id. Else the file, relative to the input.
        path: Of an image: its path, if that is not the id below the input; else empty.
        first: First row of a range.
        rows: Rows of a range.
        size: Bytes of the file.
    """

    name: str
    path: str = ""
    first: int = 0
    rows: int = 0
    size: int = 0


@dataclass(frozen=True)
class Plan:
    """The blocks of a job.

    Attributes:
        folder: The folder of the job.
        input: Address of the input; paths of images are relative to it.
        kind: What the units are.
        units: Their number.
        per_block: Units in a block.
    """

    folder: Place
    input: str
    kind: Kind
    units: int
    per_block: int
    _tables: dict[int, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def blocks(self) -> int:
        """The number of blocks."""
        return -(-self.units // self.per_block)

    @classmethod
    def make(cls, folder: Place, input: str, kind: Kind, units: Iterable[Unit], per_block: int | None = None) -> "Plan":
        """Writes a plan; memory does not grow with the number of units.

        Args:
            folder: The folder of the job.
            input: Address of the input.
            kind: What the units are.
            units: The units in order; it is read once.
            per_block: Images in a block, see ``block_size``; other units are blocks by themselves.

        Raises:
            MissingExtraError: pyarrow is not installed.
            DataError: The input cannot be read, or the plan not be written.
        """
        total = 0
        place, left = folder / _FOLDER, iter(units)
        while part := list(islice(left, _PER_FILE)):
            place.write(f"units-{total // _PER_FILE:06d}.parquet", _encoded(part))
            total += len(part)
        size = per_block or block_size(total)
        plan = cls(folder, input, kind, total, size if kind == "images" else 1)
        fields = {name: getattr(plan, name) for name in _SAVED}
        place.write(_FILE, json.dumps(fields, indent=2).encode() + b"\n")
        return plan

    @classmethod
    def read(cls, folder: Place) -> "Plan | None":
        """Returns the plan of a job; None if it has no complete one.

        Raises:
            CheckpointError: It is damaged.
        """
        place = folder / _FOLDER
        if not place.exists(_FILE):
            return None
        try:
            plan = cls(folder, **parse_json(place.read(_FILE), strict=False))
            plan._require_sense()
        except (ValueError, TypeError) as error:
            raise CheckpointError(f"{place}/{_FILE} is damaged: delete {folder} and start again") from error
        return plan

    def _require_sense(self) -> None:
        types = (type(self.input), type(self.units), type(self.per_block))
        if self.kind not in ("images", "tars", "parquet") or types != (str, int, int):
            raise ValueError
        if not (0 <= self.units < _MOST and self.per_block > 0 and self.blocks < _MOST_BLOCKS):
            raise ValueError

    def block(self, number: int) -> list[Unit]:
        """Returns the units of a block.

        Raises:
            CheckpointError: The plan is damaged.
        """
        first, last = number * self.per_block, min((number + 1) * self.per_block, self.units)
        return list(self._between(first, last))

    def all_units(self) -> Iterator[Unit]:
        """Yields all units in order; a file of the plan is held at a time."""
        return self._between(0, self.units)

    def _between(self, first: int, last: int) -> Iterator[Unit]:
        for number in range(first // _PER_FILE, -(-last // _PER_FILE)):
            table = self._table(number)
            start = max(first - number * _PER_FILE, 0)
            part = table.slice(start, min(last - number * _PER_FILE, _PER_FILE) - start)
            if number * _PER_FILE + start + part.num_rows != min(last, (number + 1) * _PER_FILE):
                raise CheckpointError(f"{self.folder}/{_FOLDER} is damaged: delete {self.folder} and start again")
            columns = {name: part.column(name).to_pylist() for name in Unit._fields}
            for name in _TEXTS:
                columns[name] = [os.fsdecode(value) for value in columns[name]]
            yield from map(Unit._make, zip(*columns.values(), strict=True))

    def _table(self, number: int) -> Any:
        """Returns the table of a file of the plan; the last one is kept."""
        if number not in self._tables:
            arrow, parquet = import_pyarrow()
            place = self.folder / _FOLDER
            name = f"units-{number:06d}.parquet"
            try:
                table = parquet.read_table(io.BytesIO(place.read(name)))
                if table.schema != _schema() or any(column.null_count for column in table.columns):
                    raise ValueError
            except (arrow.ArrowException, ValueError, OSError) as error:
                raise CheckpointError(f"{place}/{name} is damaged: delete {self.folder} and start again") from error
            self._tables.clear()
            self._tables[number] = table
        return self._tables[number]


def block_size(images: int) -> int:
    """Returns how many images a block has by default.

    Small jobs have small blocks, so that all workers are busy to the end; very large ones have larger blocks, so that
    their shards can be listed and counted quickly.
    """
    least, most = max(images // _FEW // _STEP, 2) * _STEP, max(images // _MANY // BLOCK, 1) * BLOCK
    return min(least, most, _LARGEST)


def _encoded(units: list[Unit]) -> bytes:
    arrow, parquet = import_pyarrow()
    columns: dict[str, Any] = dict(zip(Unit._fields, zip(*units, strict=True), strict=True))
    for name in _TEXTS:
        columns[name] = [os.fsencode(value) for value in columns[name]]
    buffer = io.BytesIO()
    parquet.write_table(arrow.table(columns, _schema()), buffer)
    return buffer.getvalue()


def _schema() -> Any:
    arrow, _ = import_pyarrow()
    types = [arrow.binary() if name in _TEXTS else arrow.int64() for name in Unit._fields]
    return arrow.schema(list(zip(Unit._fields, types, strict=True)))


def import_pyarrow() -> tuple[Any, Any]:
    """Imports pyarrow and pyarrow.parquet.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "shards", "a sharded job") from error
    return pyarrow, parquet
