"""External features: a pickle ``{image_id: array}``, as saved by image-captioning notebooks.

N images · L regions · D channels.

Each array may be a vector or a grid: (D,), (1, D), (L, D) or (H, W, D), with or without a leading 1. Keys may be file
names with or without extension, or paths.
"""

import stat
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from capsmith.core.errors import FeatureError
from capsmith.core.readers.regular_files import open_regular
from capsmith.vision.fingerprint import file_sha256
from capsmith.vision.pickle_keys import match_keys, quoted
from capsmith.vision.safe_pickle import load_arrays
from capsmith.vision.stored_features import StoredFeatures

_LARGEST_FLOAT16 = 65504.0
_ADVICE = "features.store must be a folder of features, or a pickle {image_id: array}"
_open_stores: "weakref.WeakValueDictionary[tuple[Any, ...], PickleStore]" = weakref.WeakValueDictionary()


class PickleStore(StoredFeatures):
    """Features of images from a pickle that capsmith did not write, all held in memory.

    Attributes:
        path: The pickle.
        sha256: SHA-256 of the file.
        ids: Images that have features, in the order of their rows.
        shape: Shape of the features of one image: (D,) or (L, D).
        dtype: Result of `gather`: float32 for vectors; float16 for grids, or float32 if values exceed its range.
        missing: Images without features, and the reason.
    """

    def __init__(self, path: Path, ids: Sequence[str], arrays: dict[str, np.ndarray]) -> None:
        key_of = match_keys(list(arrays), ids, path)
        matched = [image for image in ids if image in key_of]
        missing = {image: f"{path} has no features of {image}" for image in ids if image not in key_of}
        super().__init__({image: row for row, image in enumerate(matched)}, _common_shape(path, arrays), missing)
        self.path = path
        self.sha256 = file_sha256(path)
        is_grid = len(self.shape) == 2
        small = is_grid and all(float(np.abs(array).max(initial=0)) <= _LARGEST_FLOAT16 for array in arrays.values())
        self.dtype = np.dtype("float16" if small else "float32")
        self._matrix = np.empty((len(matched), *self.shape), self.dtype)
        for row, image in enumerate(matched):
            self._matrix[row] = arrays.pop(key_of[image]).reshape(self.shape)  # frees each array after its copy

    @classmethod
    def open(cls, path: Path, ids: Sequence[str]) -> "PickleStore":
        """Reads a pickle. A store that is already open for the same images is shared.

        Args:
            path: The file.
            ids: Images whose features are needed; others in the pickle are ignored.

        Raises:
            FeatureError: The file is missing, damaged, or not a pickle of arrays only; its arrays differ in shape, are
                not floating-point, or contain NaN or infinity; or a key could mean two images.
        """
        file_state = _file_state(path)
        cache_key = (path.absolute(), file_state, tuple(ids))
        store = _open_stores.get(cache_key)
        if store is None:
            store = _open_stores[cache_key] = cls(path, list(dict.fromkeys(ids)), _read(path))
        return store

    def require(self, splits: Mapping[str, Sequence[str]], max_bad_fraction: float) -> None:
        """Checks that enough images have features.

        Args:
            splits: Image ids by split.
            max_bad_fraction: Largest fraction of all these images that may lack features.

        Raises:
            FeatureError: More images lack features. The message gives the number for each split, and the first image.
        """
        total = sum(len(ids) for ids in splits.values())
        missing = {name: [image for image in ids if image in self.missing] for name, ids in splits.items()}
        count = sum(map(len, missing.values()))
        if count <= max_bad_fraction * total:
            return
        first = next(image for ids in missing.values() for image in ids)
        counts = ", ".join(f"{len(lost):,} of {len(splits[name]):,} {name}" for name, lost in missing.items() if lost)
        raise FeatureError(
            f"{self.path} has no features of {count:,} of {total:,} images ({counts}), more than "
            f"features.max_bad_fraction allows ({max_bad_fraction:g}); the first: {quoted(first)}"
        )

    @property
    def paths(self) -> tuple[Path, ...]:
        """The pickle."""
        return (self.path,)

    @property
    def layout(self) -> str:
        """Description of the features of one image."""
        *regions, channels = self.shape
        return f"{regions[0]} regions of {channels} channels" if regions else f"a vector of {channels}"

    @property
    def mean(self) -> np.ndarray:
        """Mean over a sample of at least 500 images, flattened, float32."""
        sample = self._matrix[:: max(len(self._matrix) // 500, 1)]
        return sample.reshape(len(sample), -1).mean(axis=0, dtype=np.float32)

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Returns a copy of the features of rows: (N, D) float32, or (N, L, D)."""
        return self._matrix[rows]

    def _describe_absent(self, ids: Sequence[str]) -> str:
        count = f"{len(ids)} images have" if len(ids) > 1 else "1 image has"
        return f"{count} no features in {self.path}: {quoted(ids[0])}"


def _file_state(path: Path) -> tuple[int, ...]:
    """Returns numbers that change with the file's content, after checking that it is a regular file."""
    try:
        status = path.stat()
    except OSError as error:
        raise FeatureError(f"features.store: {path}: {error.strerror or error}") from error
    if not stat.S_ISREG(status.st_mode):
        raise FeatureError(f"features.store: {path} is not a regular file: set it to a folder of features, or a pickle")
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _read(path: Path) -> dict[str, np.ndarray]:
    """Reads the pickle, and checks that it maps strings to arrays of finite floating-point numbers."""
    try:
        with open_regular(path) as file:
            content = load_arrays(file, str(path), _ADVICE)
    except OSError as error:
        raise FeatureError(f"features.store: cannot read {path}: {error.strerror or error}") from error
    expected = "expected a dictionary {image_id: array}"
    if not isinstance(content, dict):
        raise FeatureError(f"{path} contains a {type(content).__name__}: {expected}")
    if not content:
        raise FeatureError(f"{path} contains no features: {expected}")
    for key, array in content.items():
        if not isinstance(key, str):
            raise FeatureError(f"{path} has a key of type {type(key).__name__}: {expected}")
        if not isinstance(array, np.ndarray):
            raise FeatureError(f"{path} contains a {type(array).__name__} for {quoted(key)}: {expected}")
        if array.dtype.kind != "f":
            raise FeatureError(f"{path} contains {array.dtype} for {quoted(key)}: features must be floating-point")
        if not _is_finite_float32(array):
            raise FeatureError(f"{path} contains NaN or infinity for {quoted(key)}: extract its features again")
    return content


def _is_finite_float32(array: np.ndarray) -> bool:
    with np.errstate(over="ignore"):
        return bool(np.isfinite(array.astype(np.float32)).all())


def _common_shape(path: Path, arrays: Mapping[str, np.ndarray]) -> tuple[int, ...]:
    """Returns the shape of the features of every image, (D,) or (L, D)."""
    first = next(iter(arrays))
    for key, array in arrays.items():
        if array.shape != arrays[first].shape:
            raise FeatureError(
                f"{path} has the shape {array.shape} for {quoted(key)}, but {arrays[first].shape} for {quoted(first)}: "
                "all arrays must have the same shape"
            )
    shape = arrays[first].shape
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    if len(shape) == 3 and shape[1] == shape[2] != shape[0]:
        raise FeatureError(f"{path} has arrays of shape {shape}, channels first: save np.moveaxis(array, 0, -1)")
    if not 1 <= len(shape) <= 3 or 0 in shape:
        raise FeatureError(
            f"{path} has arrays of shape {arrays[first].shape}: each must be a vector (D,) or a grid (H, W, D)"
        )
    return (shape[0] * shape[1], shape[2]) if len(shape) == 3 else shape
