"""``features.npy``: the grids of a feature store, or one of its shards. Only the requested rows are read."""

import os
import threading
from pathlib import Path

import numpy as np

from capsmith.core.errors import FeatureError, because
from capsmith.core.readers.arrays import read_header
from capsmith.core.readers.regular_files import open_regular


class GridFile:
    """Random access to the rows (N, …) of an array on disk; safe for use by several threads.

    The header and length are checked when the file is opened, its values when they are read.

    Args:
        path: The file.
        shape: Shape of a row.
        dtype: Type of the values.
        rows: Rows that it has at least.
        start: Offset of the first row in bytes, of a file that was checked before.

    Attributes:
        start: The same, of any file.

    Raises:
        FeatureError: The file is missing, truncated, damaged, or does not match the manifest.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: str, rows: int, start: int | None = None) -> None:
        self.path, self._shape, self._dtype = path, shape, np.dtype(dtype)
        self._row_bytes = self._dtype.itemsize * int(np.prod(self._shape))
        self._lock = threading.Lock()  # the threads share one file position
        self.start = self._check_header(rows) if start is None else start
        try:
            self._file = self.path.open("rb", buffering=0)
        except OSError as error:
            raise _unreadable(self.path, error) from error

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Returns the rows (len(rows), …).

        Raises:
            FeatureError: The file has been truncated.
        """
        values = np.empty((len(rows), *self._shape), self._dtype)
        with self._lock:
            for value, row in zip(values, rows, strict=True):
                self._file.seek(self.start + int(row) * self._row_bytes)
                if self._file.readinto(value) != self._row_bytes:
                    raise FeatureError(f"{self.path} is truncated; extract the features again")
        return values

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _check_header(self, rows: int) -> int:
        """Checks the file against its manifest, and returns the offset of the first row in bytes."""
        path, advice = self.path, f"delete {self.path.parent} and extract again"
        try:
            with open_regular(path) as file:
                header = read_header(file)
                length = os.fstat(file.fileno()).st_size
        except OSError as error:
            raise _unreadable(path, error) from error
        except Exception as error:  # NumPy raises many kinds of exceptions for a damaged header
            raise FeatureError(f"{path} is truncated or damaged; {advice}") from error
        if header.shape[1:] != self._shape or header.dtype != self._dtype:
            raise FeatureError(f"{path} does not match its manifest; {advice}")
        if header.shape[0] < rows:
            raise FeatureError(f"{path} does not match its manifest; {advice}")
        if header.fortran_order:
            raise FeatureError(f"{path} is in Fortran order, in which single rows cannot be read; write it in C order")
        if length < header.size:
            raise FeatureError(f"{path} is truncated or damaged; {advice}")
        return header.offset


def is_finite(values: np.ndarray) -> bool:
    """Returns whether all values are finite. float16 is tested by its bits, which is faster than ``np.isfinite``."""
    if values.dtype != np.float16 or not values.size:
        return bool(np.isfinite(values).all())
    return bool((values.view(np.uint16) & np.uint16(0x7C00)).max() < 0x7C00)


def _unreadable(path: Path, error: OSError) -> FeatureError:
    return FeatureError(f"cannot read {path}: {because(error, 'extract the features again')}")
