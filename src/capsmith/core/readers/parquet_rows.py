"""Single values of a Parquet file's column of bytes, read mostly in order.

A file's rows are read in batches, a few of which are kept. A row before them is read again from the beginning of its
row group. One thread reads a file at a time.
"""

import bisect
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any

from capsmith.core.errors import MissingExtraError, one_line
from capsmith.core.readers.regular_files import open_regular
from capsmith.core.readers.tar_index import ShardError

_BATCH = 32  # rows read at once, at most
_BATCH_BYTES = 256 * 2**20  # that they may take if all have the largest value of a dictionary
_KEPT = 256  # rows kept
_KEPT_BYTES = 64 * 2**20  # that they may take
_BUFFER = 2**20  # bytes read at once
_MAX_RATIO = 200  # of unpacked to packed bytes of a row group: images do not pack well
_UNCHECKED = 64 * 2**20  # bytes up to which any ratio is allowed


class ParquetRows:
    """A Parquet file.

    Args:
        path: The file.

    Attributes:
        rows: Number of its rows.

    Raises:
        MissingExtraError: pyarrow is not installed.
        ShardError: It is no Parquet file, or damaged.
        OSError: It cannot be read.
    """

    def __init__(self, path: Path) -> None:
        arrow, parquet = import_pyarrow(str(path))
        self._errors = (arrow.ArrowException, OSError, ValueError, KeyError)
        open_regular(path).close()
        with self._explained():
            self.file = parquet.ParquetFile(str(path), buffer_size=_BUFFER)
        metadata = self.file.metadata
        counts = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
        *self._starts, self.rows = accumulate(counts, initial=0)
        self._lock = threading.Lock()
        self._cursor: tuple[str, int, Iterator[Any], int] | None = None  # column, row group, batches, next row
        self._recent: deque[tuple[str, int, Any]] = deque()  # column, first row, values

    def value(self, column: str, row: int) -> bytes | None:
        """Returns the bytes in a column of bytes, or of structs with a field ``bytes``; None if they are missing.

        Raises:
            ShardError: There is no such column, or the file is damaged.
            IndexError: There is no such row.
        """
        if not 0 <= row < self.rows:
            raise IndexError(row)
        with self._lock, self._explained():
            found = self._find(column, row)
            if found is None:
                self._advance(column, row)
                found = self._find(column, row)
                self._forget()
            value = None if found is None else found.as_py()
            if value is not None and not isinstance(value, bytes):
                raise ShardError(f"its column '{column}' does not hold bytes of images")
            return value

    def size(self, column: str, row: int) -> int:
        """Returns the packed bytes of a column in the row group of a row: it changes when an image changes.

        The size of one value is not known without reading the complete column.

        Raises:
            IndexError: There is no such row.
        """
        if not 0 <= row < self.rows:
            raise IndexError(row)
        return self._sizes(column, self._group(row))[0]

    def leaf(self, column: str) -> str:
        """Returns the name of the column with the bytes: that of the field, if the column holds structs.

        Raises:
            ShardError: There is no such column, or it holds no bytes.
        """
        schema = self.file.schema_arrow
        if column not in schema.names:
            raise ShardError(f"it has no column '{column}' (columns: {', '.join(schema.names)[:300]})")
        kind = str(schema.field(column).type)
        if kind in ("binary", "large_binary", "binary_view"):
            return column
        if kind.startswith("struct<") and any(
            field.name == "bytes" and "binary" in str(field.type) for field in schema.field(column).type
        ):
            return f"{column}.bytes"
        hint = ": download the images first, for example with img2dataset" if "string" in kind else ""
        raise ShardError(f"its column '{column}' holds {kind[:60]}, not bytes of images{hint}")

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self.file.schema_arrow.names)

    def values(self, columns: list[str], batch: int) -> Iterator[dict[str, Any]]:
        """Yields some columns of all rows, as Python values.

        Args:
            columns: Columns of texts, numbers or lists of texts.
            batch: Rows read at once.

        Raises:
            ShardError: There is no such column, it holds something else, or the file is damaged.
        """
        for column in columns:
            if column not in self.columns:
                raise ShardError(f"it has no column '{column}' (columns: {', '.join(self.columns)[:300]})")
            kind = str(self.file.schema_arrow.field(column).type)
            if "binary" in kind or "struct" in kind or "map" in kind:
                raise ShardError(f"its column '{column}' holds {kind[:60]}, not texts")
        with self._explained():
            for part in self.file.iter_batches(batch, columns=columns, use_threads=False):
                names, lists = part.schema.names, [part.column(place).to_pylist() for place in range(part.num_columns)]
                for row in zip(*lists, strict=True):
                    yield dict(zip(names, row, strict=True))

    def without_value(self, column: str) -> set[int]:
        """Returns the rows whose value in a column of bytes is missing.

        Only row groups whose statistics state that values are missing are read.

        Raises:
            ShardError: The file is damaged.
        """
        leaf, metadata = self.leaf(column), self.file.metadata
        found: set[int] = set()
        for group, start in enumerate(self._starts):
            columns = (metadata.row_group(group).column(n) for n in range(metadata.num_columns))
            chunk = next((chunk for chunk in columns if chunk.path_in_schema == leaf), None)
            if chunk is None or not chunk.statistics or not chunk.statistics.null_count:
                continue
            rows = range(start, start + metadata.row_group(group).num_rows)
            found |= {row for row in rows if self.value(column, row) is None}
        return found

    def _group(self, row: int) -> int:
        return bisect.bisect_right(self._starts, row) - 1

    def _sizes(self, column: str, group: int) -> tuple[int, int]:
        """Returns the packed and unpacked bytes of a column in a row group."""
        leaf, metadata = self.leaf(column), self.file.metadata.row_group(group)
        for number in range(metadata.num_columns):
            if (chunk := metadata.column(number)).path_in_schema == leaf:
                return int(chunk.total_compressed_size), int(chunk.total_uncompressed_size)
        raise ShardError(f"its column '{column}' is damaged")

    def _find(self, column: str, row: int) -> Any:
        for name, first, values in self._recent:
            if name == column and first <= row < first + len(values):
                return values[row - first]
        return None

    def _forget(self) -> None:
        """Drops the oldest batches, so that large images do not fill memory."""
        while sum(len(values) for _, _, values in self._recent) > _KEPT or (
            sum(values.nbytes for _, _, values in self._recent) > _KEPT_BYTES
        ):
            self._recent.popleft()

    def _advance(self, column: str, row: int) -> None:
        group = self._group(row)
        if self._cursor is None or self._cursor[:2] != (column, group) or self._cursor[3] > row:
            packed, unpacked = self._sizes(column, group)
            if unpacked > max(_UNCHECKED, _MAX_RATIO * packed):
                raise ShardError(f"its column '{column}' would unpack from {packed:,} to {unpacked:,} bytes")
            rows = max(1, min(_BATCH, _BATCH_BYTES // max(unpacked, 1)))
            batches = self.file.iter_batches(rows, [group], [self.leaf(column)], use_threads=False)
            self._cursor = column, group, batches, self._starts[group]
        batches, place = self._cursor[2:]
        try:
            while place <= row:
                values = next(batches).column(0)
                values = values.field("bytes") if hasattr(values, "field") else values
                self._recent.append((column, place, values))
                place += len(values)
                if place <= row:
                    self._forget()
        except StopIteration as error:
            raise ShardError("it has fewer rows than it states") from error
        finally:
            self._cursor = column, group, batches, place

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except ShardError:
            raise
        except self._errors as error:
            raise ShardError(f"it is damaged, or not a Parquet file ({one_line(error)[:150]})") from error


def import_pyarrow(purpose: str) -> tuple[Any, Any]:
    """Imports pyarrow and pyarrow.parquet.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "shards", purpose) from error
    return pyarrow, parquet
