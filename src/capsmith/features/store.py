"""The feature store: a folder of features that one encoder made.

```
manifest.json   the encoder's fingerprint, shape and dtype, picture ids by row, file sizes, unreadable pictures
features.pkl    pooled: {image_id: float32 (D,)}
features.npy    grid: float16 (N, L, D), one row a picture
```
The manifest is written last, so a folder without one is unfinished. Extraction's own files are described in
``journal.py``.
"""

import pickle  # noqa: S403  (written here; read only through pickles.py)
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from capsmith import runs
from capsmith.errors import FeatureError, because
from capsmith.features.fingerprint import differences
from capsmith.features.pickles import load_arrays


@dataclass
class Manifest:
    """What a store holds.

    Attributes:
        fingerprint: Of the encoder, see `capsmith.features.fingerprint`.
        shape: Of one picture's features: (D,) pooled, or (L, D).
        dtype: ``float32`` pooled, ``float16`` grid.
        ids: The picture of each row; None for a row given up, its picture having become unreadable.
        sizes: The size in bytes of each row's picture file when it was read.
        broken: Unreadable pictures: ``{id: {"reason": …, "size": …}}``; size -1 for a missing file.
        precision: What the encoder calculated in.
    """

    fingerprint: dict[str, Any]
    shape: tuple[int, ...]
    dtype: str
    ids: list[str | None] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    broken: dict[str, dict[str, Any]] = field(default_factory=dict)
    precision: str = "float32"

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Reads and checks ``manifest.json``.

        Raises:
            FeatureError: There is none, or it is damaged.
        """
        path = folder / "manifest.json"
        if not folder.is_dir():
            raise FeatureError(f"no features in {folder}: no such folder; run `capsmith extract` first")
        if not path.exists():
            raise FeatureError(
                f"features in {folder} are unfinished; run `capsmith extract` again, it goes on from there"
            )
        try:
            value = runs.read_json(path, FeatureError)
            value = {"precision": "float32", **value}  # stores of before have none
            found = cls(**{key: value[key] for key in cls.__dataclass_fields__})
            found.shape = tuple(int(n) for n in found.shape)
            found.sizes = [int(n) for n in found.sizes]
            right = isinstance(found.fingerprint, dict) and len(found.ids) == len(found.sizes)
            right = right and all(image is None or isinstance(image, str) for image in found.ids)
            if not right or len(found.shape) not in (1, 2) or found.dtype not in ("float16", "float32"):
                raise ValueError
            found.file_sizes(), found.reasons()
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FeatureError(f"{path} is damaged; delete {folder} and extract again") from error
        return found

    def write(self, folder: Path) -> None:
        """Writes ``manifest.json`` atomically."""
        runs.write_json(folder / "manifest.json", asdict(self))

    def file_sizes(self) -> dict[str, int]:
        """Returns the size of each picture's file when it was last read, readable or not."""
        read = {image: size for image, size in zip(self.ids, self.sizes, strict=True) if image is not None}
        return read | {image: int(note["size"]) for image, note in self.broken.items()}

    def reasons(self) -> dict[str, str]:
        """Returns the unreadable pictures and why."""
        return {image: str(note["reason"]) for image, note in self.broken.items()}

    def check(self, expected: dict[str, Any], folder: Path) -> None:
        """Raises FeatureError when another encoder made the features; says in what it differs."""
        if differs := differences(self.fingerprint, expected):
            raise FeatureError(
                f"features in {folder} are of another encoder ({differs}); "
                "use the encoder that made them, or give another features.store"
            )


class FeatureStore:
    """Reads features by picture; made by `FeatureStore.open`, `FeatureStore.create` or `extract`.

    Pooled features lie in memory as one float32 matrix. Grids stay on the disk and only the rows asked for are read,
    so memory stays the same however large the data set is.

    Attributes:
        path: The folder.
        ids: The pictures that have features, in the order of their rows.
        shape: Of one picture's features: (D,) or (L, D).
        dtype: What `gather` returns: float32 pooled, float16 grid.
        fingerprint: Of the encoder that made them.
        precision: What that encoder calculated in.
        broken: Unreadable pictures and why.
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
            ids: N picture ids.
            features: (N, D) pooled or (N, L, D) grid.
            fingerprint: Of whatever made them; by default one that no encoder has.
        """
        dtype = "float32" if features.ndim == 2 else "float16"
        manifest = Manifest(fingerprint or {"type": "given"}, features.shape[1:], dtype, list(ids), [-1] * len(ids))
        if features.ndim == 2:
            write_pooled(Path(path), manifest, features)
        else:
            with runs.atomic(Path(path) / "features.npy", "wb") as file:
                np.save(file, features.astype(dtype))
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
        """Returns the row numbers (int64) of pictures, for `gather`.

        Raises:
            FeatureError: Some have no features; the message names the first.
        """
        missing = [image for image in ids if image not in self._row]
        if missing:
            why = self.broken.get(missing[0], "run `capsmith extract` for this data set")
            count = f"{len(missing)} pictures have" if len(missing) > 1 else "picture has"
            raise FeatureError(f"{count} no features in {self.path}: {missing[0]} ({why})")
        return np.array([self._row[image] for image in ids], np.int64)

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Returns the features of rows.

        Args:
            rows: N row numbers, in any order, repeats allowed.

        Returns:
            (N, D) float32, or (N, L, D) float16; a copy.
        """
        if len(self.shape) == 1:
            return self._matrix[rows]
        out = np.empty((len(rows), *self.shape), self.dtype)
        with self._lock:  # one file position
            for target, row in zip(out, rows, strict=True):
                self._file.seek(self._start + int(row) * self._row_bytes)
                if self._file.readinto(target) != self._row_bytes:
                    raise FeatureError(f"{self.path / 'features.npy'} is truncated; extract the features again")
        return out


def write_pooled(folder: Path, manifest: Manifest, matrix: np.ndarray) -> None:
    """Writes ``features.pkl`` atomically from (N, D) rows in the order of the manifest."""
    rows = zip(manifest.ids, matrix.astype(np.float32), strict=True)
    with runs.atomic(folder / "features.pkl", "wb") as file:
        pickle.dump({image: row.copy() for image, row in rows if image is not None}, file, protocol=4)


def _read_pooled(folder: Path, manifest: Manifest) -> np.ndarray:
    path = folder / "features.pkl"
    try:
        with path.open("rb") as file:
            found = load_arrays(file, str(path))
    except OSError as error:
        raise FeatureError(f"cannot read {path}: {because(error, 'extract the features again')}") from error
    kept = [(row, image) for row, image in enumerate(manifest.ids) if image is not None]
    for _, image in kept:
        vector = found.get(image) if isinstance(found, dict) else None
        if not isinstance(vector, np.ndarray) or vector.shape != manifest.shape or vector.dtype.kind != "f":
            raise FeatureError(f"{path} does not match its manifest at {image}; delete {folder} and extract again")
    matrix = np.zeros((len(manifest.ids), *manifest.shape), np.float32)
    for row, image in kept:
        matrix[row] = found[image]
    return matrix


def _open_grid(folder: Path, manifest: Manifest) -> tuple[Any, int]:
    path = folder / "features.npy"
    try:
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        offset = int(mapped.offset)
        fits = mapped.shape[1:] == manifest.shape and mapped.dtype == manifest.dtype
        if not fits or mapped.shape[0] < len(manifest.ids):
            raise FeatureError(f"{path} does not match its manifest; delete {folder} and extract again")
        return path.open("rb", buffering=0), offset
    except OSError as error:
        raise FeatureError(f"cannot read {path}: {because(error, 'extract the features again')}") from error
    except (
        ValueError,
        EOFError,
        AttributeError,
    ) as error:  # numpy: header damaged, or the file shorter than it says
        raise FeatureError(f"{path} is truncated or damaged; delete {folder} and extract again") from error
