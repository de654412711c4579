"""Features that were made elsewhere: a pickle ``{image_id: array}``, as image-captioning notebooks leave it.

N images · L regions · D channels.

The arrays may have any shape that is a vector or a grid for each image: (D,), (1, D), (L, D), (H, W, D), with or
without a leading 1. Keys may be file names with or without their ending, or paths.
"""

import stat
import unicodedata
import weakref
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from capsmith.core.errors import FeatureError, escaped
from capsmith.core.readers.regular_files import open_regular
from capsmith.vision.fingerprint import file_hash
from capsmith.vision.image_formats import IMAGE_ENDINGS
from capsmith.vision.safe_pickle import load_arrays

_LARGEST_FLOAT16 = 65504.0
_ADVICE = "features.store takes a folder of features, or a pickle {image_id: array}"
_SHOWN = 80  # characters of a key in a message
_OPEN: "weakref.WeakValueDictionary[tuple[Any, ...], PickleStore]" = weakref.WeakValueDictionary()


class PickleStore:
    """Reads features of images from a pickle that capsmith did not make; all of them lie in memory.

    Attributes:
        path: The pickle.
        sha256: Of the file.
        ids: The images that have features, in the order of their rows.
        shape: Of one image's features: (D,) or (L, D).
        dtype: What `gather` returns: float32 for vectors; float16 for grids, or float32 where numbers are too large.
        broken: Images that have none, and why.
    """

    def __init__(self, path: Path, ids: Sequence[str], given: dict[str, np.ndarray]) -> None:
        self.path = path
        self.sha256 = file_hash(path)
        self.shape = _common_shape(path, given)
        keys = match(list(given), ids, path)
        self.keys = len(given)
        self.ids = [image for image in ids if image in keys]
        self.broken = {image: f"{path} has no features of {image}" for image in ids if image not in keys}
        self._row = {image: row for row, image in enumerate(self.ids)}
        grid = len(self.shape) == 2
        small = grid and all(float(np.abs(array).max(initial=0)) <= _LARGEST_FLOAT16 for array in given.values())
        self.dtype = np.dtype("float16" if small else "float32")
        self._matrix = np.empty((len(self.ids), *self.shape), self.dtype)
        for row, image in enumerate(self.ids):
            self._matrix[row] = given.pop(keys[image]).reshape(self.shape)  # the array is let go at once

    @classmethod
    def open(cls, path: Path, ids: Sequence[str]) -> "PickleStore":
        """Reads a pickle; one that is open already for the same images is shared.

        Args:
            path: The file.
            ids: The images that are wanted; others in the pickle are left out.

        Raises:
            FeatureError: The file is missing, damaged, no pickle of arrays, asks for anything but arrays, or its
                arrays differ in shape, are not floating-point, or hold NaN or infinity; or a key could mean two
                images.
        """
        state = _state(path)
        key = (path.absolute(), state, tuple(ids))
        store = _OPEN.get(key)
        if store is None:
            store = _OPEN[key] = cls(path, list(dict.fromkeys(ids)), _read(path))
        return store

    def require(self, splits: Mapping[str, Sequence[str]], most: float) -> None:
        """Checks that images have features.

        Args:
            splits: Image ids by split.
            most: The largest share of them that may have none.

        Raises:
            FeatureError: More have none; the message says how many of each split, and names the first.
        """
        total = sum(len(ids) for ids in splits.values())
        missing = {name: [image for image in ids if image in self.broken] for name, ids in splits.items()}
        count = sum(map(len, missing.values()))
        if count <= most * total:
            return
        first = next(image for ids in missing.values() for image in ids)
        counts = ", ".join(f"{len(lost):,} of {len(splits[name]):,} {name}" for name, lost in missing.items() if lost)
        raise FeatureError(
            f"{self.path} has no features of {count:,} of {total:,} images ({counts}), more than features.max_broken "
            f"allows ({most:g}); the first: {_short(first)}"
        )

    @property
    def stores(self) -> "tuple[PickleStore, ...]":
        """The store itself, as the one part of what may be several (see ``joined.py``)."""
        return (self,)

    @property
    def layout(self) -> str:
        """What the features of an image are, in words."""
        *regions, channels = self.shape
        return f"{regions[0]} regions of {channels} channels" if regions else f"a vector of {channels}"

    @property
    def mean(self) -> np.ndarray:
        """The mean of some images' features, flat, float32."""
        some = self._matrix[:: max(len(self._matrix) // 500, 1)]
        return some.reshape(len(some), -1).mean(axis=0, dtype=np.float32)

    def __contains__(self, image_id: object) -> bool:
        return image_id in self._row

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, ids: Sequence[str]) -> np.ndarray:
        """Returns the row numbers (int64) of images, for `gather`.

        Raises:
            FeatureError: Some have no features; the message names the first.
        """
        if missing := [image for image in ids if image not in self._row]:
            count = f"{len(missing)} images have" if len(missing) > 1 else "1 image has"
            raise FeatureError(f"{count} no features in {self.path}: {_short(missing[0])}")
        return np.array([self._row[image] for image in ids], np.int64)

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Returns the features of rows: (N, D) float32, or (N, L, D); a copy."""
        return self._matrix[rows]


def match(keys: Sequence[str], ids: Sequence[str], path: Path) -> dict[str, str]:
    """Returns the key of each image that has one.

    An image's key is its id; or else the id without its ending; or else the file's name alone, where the key has
    another folder before it.

    Args:
        keys: Those of the pickle.
        ids: The images.
        path: Of the pickle, for messages.

    Raises:
        FeatureError: No image has a key, a key fits several images, or an image several keys.
    """
    found: dict[str, str] = {}
    for ways in ((_whole, _whole), (_stem, _stem), (_name, _name)):
        by_name: dict[str, list[str]] = {}
        for key in keys:
            by_name.setdefault(ways[0](key), []).append(key)
        for image in ids:
            fitting = by_name.get(ways[1](image), []) if image not in found else []
            if len(fitting) > 1:
                raise FeatureError(
                    f"{path}: {_short(image)} could be {_short(fitting[0])} or {_short(fitting[1])}: "
                    "give each image one key"
                )
            if fitting:
                found[image] = fitting[0]
    if not found:
        raise FeatureError(
            f"{path}: none of its {len(keys):,} keys names an image of the data: a key is {_short(keys[0])}, "
            f"an image {_short(ids[0]) if ids else '(none)'}"
        )
    key, count = Counter(found.values()).most_common(1)[0]
    if count > 1:
        one, other, *_ = (image for image, own in found.items() if own == key)
        raise FeatureError(
            f"{path}: the key {_short(key)} fits {_short(one)} and {_short(other)}: name the images in full"
        )
    return found


def _whole(name: str) -> str:
    return PurePosixPath(unicodedata.normalize("NFC", name.strip()).replace("\\", "/")).as_posix()


def _stem(name: str) -> str:
    stem, dot, ending = (whole := _whole(name)).rpartition(".")
    return stem if dot and f".{ending}".lower() in IMAGE_ENDINGS else whole


def _name(name: str) -> str:
    return _stem(name).rpartition("/")[2]


def _state(path: Path) -> tuple[int, ...]:
    """Returns what tells one content of the file from another, after a look at what the path is."""
    try:
        found = path.stat()
    except OSError as error:
        raise FeatureError(f"features.store: {path}: {error.strerror or error}") from error
    if not stat.S_ISREG(found.st_mode):
        raise FeatureError(f"features.store: {path} is no regular file: name a folder of features, or a pickle of them")
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _read(path: Path) -> dict[str, np.ndarray]:
    """Returns what was pickled, when it is a mapping from names to arrays of finite floating-point numbers."""
    try:
        with open_regular(path) as file:
            value = load_arrays(file, str(path), _ADVICE)
    except OSError as error:
        raise FeatureError(f"features.store: cannot read {path}: {error.strerror or error}") from error
    expected = "a dictionary of image ids and arrays is needed"
    if not isinstance(value, dict):
        raise FeatureError(f"{path} holds a {type(value).__name__}: {expected}")
    if not value:
        raise FeatureError(f"{path} holds no features: {expected}")
    for key, array in value.items():
        if not isinstance(key, str):
            raise FeatureError(f"{path} has a key of type {type(key).__name__}: {expected}")
        if not isinstance(array, np.ndarray):
            raise FeatureError(f"{path} holds a {type(array).__name__} for {_short(key)}: {expected}")
        if array.dtype.kind != "f":
            raise FeatureError(f"{path} holds {array.dtype} numbers for {_short(key)}: features are floating-point")
        if not _finite(array):
            raise FeatureError(f"{path} holds NaN or infinite numbers for {_short(key)}: make its features again")
    return value


def _finite(array: np.ndarray) -> bool:
    with np.errstate(over="ignore"):
        return bool(np.isfinite(array.astype(np.float32)).all())


def _common_shape(path: Path, given: Mapping[str, np.ndarray]) -> tuple[int, ...]:
    """Returns the shape of every image's features, (D,) or (L, D)."""
    first = next(iter(given))
    for key, array in given.items():
        if array.shape != given[first].shape:
            raise FeatureError(
                f"{path} holds {array.shape} for {_short(key)}, but {given[first].shape} for {_short(first)}: "
                "all images need features of one shape"
            )
    shape = given[first].shape
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    if len(shape) == 3 and shape[1] == shape[2] != shape[0]:
        raise FeatureError(f"{path} holds {shape}, channels first: store np.moveaxis(array, 0, -1)")
    if not 1 <= len(shape) <= 3 or 0 in shape:
        raise FeatureError(
            f"{path} holds arrays of shape {given[first].shape}: a vector (D,) or a grid (H, W, D) an image is needed"
        )
    return (shape[0] * shape[1], shape[2]) if len(shape) == 3 else shape


def _short(name: str) -> str:
    text = escaped(name[:_SHOWN]) + ("…" if len(name) > _SHOWN else "")
    return f"'{text}'"
