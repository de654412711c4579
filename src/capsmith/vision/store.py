"""The feature store: a folder with the features of one encoder.

```
manifest.json   the encoder's fingerprint, shape and dtype, image id of each row, file sizes, unreadable images
features.pkl    pooled: {image_id: float32 (D,)}
features.npy    grid: float16 (N, L, D), one row per image
job-000/shards  instead of these, the features of a sharded job: one file for each block of images
```
The manifest is written last: a folder without one is unfinished. ``journal.py`` describes the files of an unfinished
extraction.
"""

import pickle  # noqa: S403  (only written here; safe_pickle.py reads it)
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from capsmith.core.errors import FeatureError, because, one_line
from capsmith.core.files import atomic
from capsmith.core.readers.regular_files import open_regular
from capsmith.vision.grid_file import GridFile, is_finite
from capsmith.vision.manifest import Manifest
from capsmith.vision.safe_pickle import load_arrays
from capsmith.vision.shard_files import ShardFiles
from capsmith.vision.stored_features import StoredFeatures


class FeatureStore(StoredFeatures):
    """The features of one encoder on disk; created by `FeatureStore.open`, `FeatureStore.create` or `extract`.

    Pooled features are held in memory as one float32 matrix. Grids and shards stay on disk and only the requested rows
    are read, so memory does not grow with the dataset.

    Attributes:
        path: The folder.
        ids: Images that have features, in the order of their rows.
        shape: Shape of the features of one image: (D,) or (L, D).
        dtype: Result of `gather`: float32 pooled, float16 grid.
        fingerprint: Fingerprint of the encoder that computed the features.
        precision: Precision in which that encoder computed.
        missing: Unreadable images, and the reason.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        row_of = {image: row for row, image in enumerate(manifest.ids) if image is not None}
        super().__init__(row_of, manifest.shape, manifest.reasons())
        self.path = path
        self.dtype = np.dtype(manifest.dtype)
        self.fingerprint = manifest.fingerprint
        self.precision = manifest.precision
        pooled = len(self.shape) == 1 and not manifest.shards
        self._matrix = _read_pooled(path, manifest) if pooled else None
        self._grids = None if pooled else _open_rows(path, manifest)

    @classmethod
    def open(cls, path: Path, expect_fingerprint: dict[str, Any] | None = None) -> "FeatureStore":
        """Opens a finished store.

        Args:
            path: The store's folder.
            expect_fingerprint: Fingerprint of the encoder whose features are needed; None accepts any encoder.

        Raises:
            FeatureError: The store is missing, unfinished, damaged or truncated, or belongs to another encoder.
        """
        manifest = Manifest.read(Path(path))
        if expect_fingerprint is not None:
            manifest.check(expect_fingerprint, Path(path))
        return cls(Path(path), manifest)

    @classmethod
    def create(
        cls, path: Path, ids: Sequence[str], features: np.ndarray, fingerprint: dict[str, Any] | None = None
    ) -> "FeatureStore":
        """Writes features that were computed elsewhere as a store, and opens it.

        Args:
            path: The folder; created when missing.
            ids: N distinct image ids.
            features: (N, D) pooled or (N, L, D) grid, in any memory layout; values that float32 (pooled) or float16
                (grid) can represent.
            fingerprint: Fingerprint of the encoder; the default is one that no encoder has.

        Raises:
            FeatureError: The features have another shape or are not finite, or the ids are not N distinct strings;
                nothing is written then. Or the folder cannot be written.
        """
        try:
            features = np.asarray(features)
        except ValueError as error:  # lists of different lengths
            raise FeatureError(f"the features cannot be converted to an array: {one_line(error)}") from error
        _require_ids(ids)
        if features.ndim not in (2, 3) or 0 in features.shape[1:] or len(features) != len(ids):
            raise FeatureError(
                f"the features have the shape {features.shape}, but must have ({len(ids)}, D) or ({len(ids)}, L, D): "
                f"one row for each of the {len(ids)} ids"
            )
        dtype = np.dtype(np.float32 if features.ndim == 2 else np.float16)
        values = _convert(features, dtype)
        manifest = Manifest(fingerprint or {"type": "given"}, values.shape[1:], dtype.name, list(ids), [-1] * len(ids))
        if values.ndim == 2:
            write_pooled(Path(path), manifest, values)
        else:
            with atomic(Path(path) / "features.npy", "wb") as file:
                np.save(file, values)
        manifest.write(Path(path))
        return cls.open(path)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The folder."""
        return (self.path,)

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Returns a copy of the features of N rows, in any order and with repeats.

        Returns:
            (N, D) float32, or (N, L, D) float16.

        Raises:
            FeatureError: The file of the grids has been truncated, or holds NaN or infinity.
        """
        if self._grids is None:
            assert self._matrix is not None  # noqa: S101 - one of the two is set
            return self._matrix[rows]
        grids = self._grids.read(rows)
        if not is_finite(grids):
            bad_rows = rows[~np.isfinite(grids).all(axis=tuple(range(1, grids.ndim)))]
            image = next(image for image in self.ids if self._row_of[image] in bad_rows)
            raise _not_finite(self._grids.path, image)
        return grids

    def close(self) -> None:
        """Closes the file of the grids."""
        if self._grids is not None:
            self._grids.close()

    def _describe_absent(self, ids: Sequence[str]) -> str:
        reason = self.missing.get(ids[0], "run `capsmith extract` for this dataset")
        count = f"{len(ids)} images have" if len(ids) > 1 else "image has"
        return f"{count} no features in {self.path}: {ids[0]} ({reason})"


def _open_rows(path: Path, manifest: Manifest) -> GridFile | ShardFiles:
    if manifest.shards:
        return ShardFiles(path, manifest)
    return GridFile(path / "features.npy", manifest.shape, manifest.dtype, len(manifest.ids))


def write_pooled(folder: Path, manifest: Manifest, matrix: np.ndarray) -> None:
    """Writes ``features.pkl`` atomically from (N, D) rows in the order of the manifest."""
    rows = zip(manifest.ids, matrix.astype(np.float32), strict=True)
    with atomic(folder / "features.pkl", "wb") as file:
        pickle.dump({image: row.copy() for image, row in rows if image is not None}, file, protocol=4)


def _require_ids(ids: Sequence[str]) -> None:
    if isinstance(ids, str) or not all(isinstance(image, str) for image in ids):
        raise FeatureError("ids must be a list of strings, one for each row of the features")
    if duplicate := next((image for image, count in Counter(ids).items() if count > 1), None):
        raise FeatureError(f"ids: duplicate {duplicate!r:.80}")
    for image in ids:
        try:
            image.encode()
        except UnicodeEncodeError as error:
            raise FeatureError(
                f"ids: {image!r:.80} contains half a surrogate pair, which UTF-8 cannot encode"
            ) from error


def _convert(features: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Converts finite numbers to another precision, in C order."""
    if features.dtype.kind not in "fiu":
        raise FeatureError(f"the features are {features.dtype}, but must be real numbers")
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(features, dtype)
    if not np.isfinite(values).all():
        index = tuple(int(n) for n in np.argwhere(~np.isfinite(values))[0])
        raise FeatureError(
            f"the feature at {index} is {features[index]:g}: {dtype.name} represents finite numbers up to "
            f"{np.finfo(dtype).max:g}"
        )
    return values


def _read_pooled(folder: Path, manifest: Manifest) -> np.ndarray:
    path = folder / "features.pkl"
    try:
        with open_regular(path) as file:
            vectors = load_arrays(file, str(path))
    except OSError as error:
        raise FeatureError(f"cannot read {path}: {because(error, 'extract the features again')}") from error
    rows = [(row, image) for row, image in enumerate(manifest.ids) if image is not None]
    for _, image in rows:
        vector = vectors.get(image) if isinstance(vectors, dict) else None
        if not isinstance(vector, np.ndarray) or vector.shape != manifest.shape or vector.dtype.kind != "f":
            raise FeatureError(f"{path} does not match its manifest at {image}; delete {folder} and extract again")
    try:
        matrix = np.zeros((len(manifest.ids) if rows else 0, *manifest.shape), np.float32)
    except (MemoryError, ValueError) as error:
        raise FeatureError(f"{path} and its manifest need more memory than is available: extract again") from error
    with np.errstate(over="ignore"):
        for row, image in rows:
            matrix[row] = vectors[image]
    if not np.isfinite(matrix).all():
        raise _not_finite(path, str(manifest.ids[int(np.argmin(np.isfinite(matrix).all(axis=1)))]))
    return matrix


def _not_finite(path: Path, image: str) -> FeatureError:
    return FeatureError(
        f"{path} is damaged: it contains NaN or infinity for {image}; delete {path.parent} and extract again"
    )
