"""The feature store: a folder of features that one encoder made.

```
manifest.json   the encoder's fingerprint, shape and dtype, image ids by row, file sizes, unreadable images
features.pkl    pooled: {image_id: float32 (D,)}
features.npy    grid: float16 (N, L, D), one row an image
```
The manifest is written last, so a folder without one is unfinished. Extraction's own files are described in
``journal.py``.
"""

import os
import pickle  # noqa: S403  (written here; read only through pickles.py)
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from capsmith.core import files as runs
from capsmith.core.errors import FeatureError, because, one_line
from capsmith.core.readers.arrays import read_header
from capsmith.core.readers.regular_files import open_regular
from capsmith.vision.manifest import Manifest
from capsmith.vision.safe_pickle import load_arrays


class FeatureStore:
    """Reads features by image; made by `FeatureStore.open`, `FeatureStore.create` or `extract`.

    Pooled features lie in memory as one float32 matrix. Grids stay on the disk and only the rows asked for are read,
    so memory stays the same however large the data set is.

    Attributes:
        path: The folder.
        ids: The images that have features, in the order of their rows.
        shape: Of one image's features: (D,) or (L, D).
        dtype: What `gather` returns: float32 pooled, float16 grid.
        fingerprint: Of the encoder that made them.
        precision: What that encoder calculated in.
        broken: Unreadable images and why.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.shape = manifest.shape
        self.dtype = np.dtype(manifest.dtype)
        self.fingerprint = manifest.fingerprint
        self.precision = manifest.precision
        self.broken = manifest.reasons()
        self._row = {image: row for row, image in enumerate(manifest.ids) if image is not None}
        self.ids = list(self._row)
        self._lock = threading.Lock()
        if len(self.shape) == 1:
            self._matrix = _read_pooled(path, manifest)
        else:
            self._file, self._start = _open_grid(path, manifest)
            self._row_bytes = self.dtype.itemsize * int(np.prod(self.shape))

    @classmethod
    def open(cls, path: Path, expect_fingerprint: dict[str, Any] | None = None) -> "FeatureStore":
        """Opens a finished store.

        Args:
            path: Its folder.
            expect_fingerprint: The fingerprint of the encoder that the features are for; None takes any.

        Raises:
            FeatureError: The store is missing, unfinished, damaged or truncated, or another encoder made it.
        """
        manifest = Manifest.read(Path(path))
        if expect_fingerprint is not None:
            manifest.check(expect_fingerprint, Path(path))
        return cls(Path(path), manifest)

    @classmethod
    def create(
        cls, path: Path, ids: Sequence[str], features: np.ndarray, fingerprint: dict[str, Any] | None = None
    ) -> "FeatureStore":
        """Writes features that came from elsewhere, and opens them.

        Args:
            path: The folder; made when missing.
            ids: N image ids.
            features: (N, D) pooled or (N, L, D) grid, of any memory layout; numbers that float32 (pooled) or float16
                (grid) can hold.
            fingerprint: Of whatever made them; by default one that no encoder has.

        Raises:
            FeatureError: The features are of another shape or are not finite numbers, or the ids are not one text for
                each row, each of its own; nothing is written then. Or the folder cannot be written.
        """
        try:
            features = np.asarray(features)
        except ValueError as error:  # lists of different lengths
            raise FeatureError(f"the features are no array: {one_line(error)}") from error
        _require_ids(ids)
        if features.ndim not in (2, 3) or 0 in features.shape[1:] or len(features) != len(ids):
            raise FeatureError(
                f"the features have the shape {features.shape}: ({len(ids)}, D) or ({len(ids)}, L, D) is needed, "
                f"a row for each of the {len(ids)} ids"
            )
        kind = np.dtype(np.float32 if features.ndim == 2 else np.float16)
        values = _converted(features, kind)
        manifest = Manifest(fingerprint or {"type": "given"}, values.shape[1:], kind.name, list(ids), [-1] * len(ids))
        if values.ndim == 2:
            write_pooled(Path(path), manifest, values)
        else:
            with runs.atomic(Path(path) / "features.npy", "wb") as file:
                np.save(file, values)
        manifest.write(Path(path))
        return cls.open(path)

    @property
    def stores(self) -> "tuple[FeatureStore, ...]":
        """The store itself, as the one part of what may be several (see ``joined.py``)."""
        return (self,)

    def __contains__(self, image_id: object) -> bool:
        return image_id in self._row

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, ids: Sequence[str]) -> np.ndarray:
        """Returns the row numbers (int64) of images, for `gather`.

        Raises:
            FeatureError: Some have no features; the message names the first.
        """
        missing = [image for image in ids if image not in self._row]
        if missing:
            why = self.broken.get(missing[0], "run `capsmith extract` for this data set")
            count = f"{len(missing)} images have" if len(missing) > 1 else "image has"
            raise FeatureError(f"{count} no features in {self.path}: {missing[0]} ({why})")
        return np.array([self._row[image] for image in ids], np.int64)

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Returns the features of rows.

        Args:
            rows: N row numbers, in any order, repeats allowed.

        Returns:
            (N, D) float32, or (N, L, D) float16; a copy.

        Raises:
            FeatureError: The file of a grid has become shorter, or a number in it is not finite.
        """
        if len(self.shape) == 1:
            return self._matrix[rows]
        out = np.empty((len(rows), *self.shape), self.dtype)
        with self._lock:  # one file position
            for target, row in zip(out, rows, strict=True):
                self._file.seek(self._start + int(row) * self._row_bytes)
                if self._file.readinto(target) != self._row_bytes:
                    raise FeatureError(f"{self.path / 'features.npy'} is truncated; extract the features again")
        if not _finite(out):
            name = next(image for image in self.ids if self._row[image] in rows[~np.isfinite(out).all(axis=(1, 2))])
            raise FeatureError(
                f"{self.path / 'features.npy'} is damaged: it holds values that are no numbers, of {name}; "
                f"delete {self.path} and extract again"
            )
        return out


def write_pooled(folder: Path, manifest: Manifest, matrix: np.ndarray) -> None:
    """Writes ``features.pkl`` atomically from (N, D) rows in the order of the manifest."""
    rows = zip(manifest.ids, matrix.astype(np.float32), strict=True)
    with runs.atomic(folder / "features.pkl", "wb") as file:
        pickle.dump({image: row.copy() for image, row in rows if image is not None}, file, protocol=4)


def _require_ids(ids: Sequence[str]) -> None:
    if isinstance(ids, str) or not all(isinstance(image, str) for image in ids):
        raise FeatureError("ids: a list of texts is needed, one for each row of the features")
    if twice := next((image for image, count in Counter(ids).items() if count > 1), None):
        raise FeatureError(f"ids: {twice!r:.80} stands twice")
    for image in ids:
        try:
            image.encode()
        except UnicodeEncodeError as error:
            raise FeatureError(f"ids: {image!r:.80} holds half of a surrogate pair, which no file can hold") from error


def _converted(features: np.ndarray, kind: np.dtype) -> np.ndarray:
    """Returns finite numbers in another precision, the last axis changing fastest."""
    if features.dtype.kind not in "fiu":
        raise FeatureError(f"the features are {features.dtype}: real numbers are needed")
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(features, kind)
    if not np.isfinite(values).all():
        at = tuple(int(n) for n in np.argwhere(~np.isfinite(values))[0])
        raise FeatureError(
            f"the features at {at} are {features[at]:g}: {kind.name} holds finite numbers up to {np.finfo(kind).max:g}"
        )
    return values


def _finite(values: np.ndarray) -> bool:
    """Returns whether all numbers are finite; float16 by its bits, which is faster than NumPy's own way."""
    if values.dtype != np.float16 or not values.size:
        return bool(np.isfinite(values).all())
    return bool((values.view(np.uint16) & np.uint16(0x7C00)).max() < 0x7C00)


def _read_pooled(folder: Path, manifest: Manifest) -> np.ndarray:
    path = folder / "features.pkl"
    try:
        with open_regular(path) as file:
            found = load_arrays(file, str(path))
    except OSError as error:
        raise FeatureError(f"cannot read {path}: {because(error, 'extract the features again')}") from error
    kept = [(row, image) for row, image in enumerate(manifest.ids) if image is not None]
    for _, image in kept:
        vector = found.get(image) if isinstance(found, dict) else None
        if not isinstance(vector, np.ndarray) or vector.shape != manifest.shape or vector.dtype.kind != "f":
            raise FeatureError(f"{path} does not match its manifest at {image}; delete {folder} and extract again")
    try:
        matrix = np.zeros((len(manifest.ids) if kept else 0, *manifest.shape), np.float32)
    except (MemoryError, ValueError) as error:
        raise FeatureError(f"{path} and its manifest ask for more memory than there is: extract again") from error
    with np.errstate(over="ignore"):
        for row, image in kept:
            matrix[row] = found[image]
    if not np.isfinite(matrix).all():
        row = int(np.argmin(np.isfinite(matrix).all(axis=1)))
        raise FeatureError(
            f"{path} is damaged: it holds values that are no numbers, of {manifest.ids[row]}; "
            f"delete {folder} and extract again"
        )
    return matrix


def _open_grid(folder: Path, manifest: Manifest) -> tuple[Any, int]:
    """Opens the file of a grid, and checks its header and length; its numbers are checked when they are read."""
    path, again = folder / "features.npy", f"delete {folder} and extract again"
    try:
        with open_regular(path) as file:
            header = read_header(file)
            length = os.fstat(file.fileno()).st_size
        if header.shape[1:] != manifest.shape or header.dtype != np.dtype(manifest.dtype):
            raise FeatureError(f"{path} does not match its manifest; {again}")
        if header.shape[0] < len(manifest.ids):
            raise FeatureError(f"{path} does not match its manifest; {again}")
        if header.fortran_order:
            raise FeatureError(f"{path} is in Fortran order, in which rows cannot be read: make it again")
        if length < header.size:
            raise FeatureError(f"{path} is truncated or damaged; {again}")
        return path.open("rb", buffering=0), header.offset
    except OSError as error:
        raise FeatureError(f"cannot read {path}: {because(error, 'extract the features again')}") from error
    except FeatureError:
        raise
    except Exception as error:  # NumPy raises whatever a damaged header leads to
        raise FeatureError(f"{path} is truncated or damaged; {again}") from error
