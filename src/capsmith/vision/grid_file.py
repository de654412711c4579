"""``features.npy``: the grids of a feature store. Only the requested rows are read."""

import os
import threading
from pathlib import Path

import numpy as np

from capsmith.core.errors import FeatureError, because
from capsmith.core.readers.arrays import read_header
from capsmith.core.readers.regular_files import open_regular
from capsmith.vision.manifest import Manifest


class GridFile:
    """Random access to float16 grids (N, L, D) on disk; safe for use by several threads.

    The header and length are checked when the file is opened, its values when they are read.

    Args:
        folder: The store's folder.
        manifest: The store's manifest.

    Raises:
        FeatureError: The file is missing, truncated, damaged, or does not match the manifest.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.path = folder / "features.npy"
        self._shape, self._dtype = manifest.shape, np.dtype(manifest.dtype)
        self._row_bytes = self._dtype.itemsize * int(np.prod(self._shape))
        self._lock = threading.Lock()  # the threads share one file position
        self._start = _check_header(self.path, manifest)
        try:
            self._file = self.path.open("rb", buffering=0)
        except OSError as error:
            raise _unreadable(self.path, error) from error

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Returns the grids (len(rows), L, D) of rows.

        Raises:
            FeatureError: The file has been truncated.
        """
        grids = np.empty((len(rows), *self._shape), self._dtype)
        with self._lock:
            for grid, row in zip(grids, rows, strict=True):
                self._file.seek(self._start + int(row) * self._row_bytes)
                if self._file.readinto(grid) != self._row_bytes:
                    raise FeatureError(f"{self.path} is truncated; extract the features again")
        return grids

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def is_finite(values: np.ndarray) -> bool:
    """Returns whether all values are finite. float16 is tested by its bits, which is faster than ``np.isfinite``."""
    if values.dtype != np.float16 or not values.size:
        return bool(np.isfinite(values).all())
    return bool((values.view(np.uint16) & np.uint16(0x7C00)).max() < 0x7C00)


def _check_header(path: Path, manifest: Manifest) -> int:
    """Checks the file against its manifest, and returns the offset of the first row in bytes."""
    advice = f"delete {path.parent} and extract again"
    try:
        with open_regular(path) as file:
            header = read_header(file)
            length = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise _unreadable(path, error) from error
    except Exception as error:  # NumPy raises many kinds of exceptions for a damaged header
        raise FeatureError(f"{path} is truncated or damaged; {advice}") from error
    if header.shape[1:] != manifest.shape or header.dtype != np.dtype(manifest.dtype):
        raise FeatureError(f"{path} does not match its manifest; {advice}")
    if header.shape[0] < len(manifest.ids):
        raise FeatureError(f"{path} does not match its manifest; {advice}")
    if header.fortran_order:
        raise FeatureError(f"{path} is in Fortran order, in which single rows cannot be read; write it in C order")
    if length < header.size:
        raise FeatureError(f"{path} is truncated or damaged; {advice}")
    return header.offset


def _unreadable(path: Path, error: OSError) -> FeatureError:
    return FeatureError(f"cannot read {path}: {because(error, 'extract the features again')}")
