"""Several encoders that look at the same images, their features side by side.

P images · L regions · D channels.

Pooled vectors and the regions of grids are joined channel by channel. Grids of other sizes are first brought to that of
the first encoder, each of its regions taking the mean over the area that it covers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from capsmith.core.errors import FeatureError
from capsmith.vision.store import FeatureStore

if TYPE_CHECKING:
    from capsmith.vision.encoder import Encoder


def joined_shape(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """Returns the shape of one image's joined features, (D,) or (L, D).

    Raises:
        FeatureError: Vectors and grids are mixed, or grids differ in size and are not square.
    """
    if len({len(shape) for shape in shapes}) > 1:
        raise FeatureError("encoder: pooled and grid features cannot be joined; give all the same output")
    regions = shapes[0][:-1]
    for shape in shapes[1:]:
        if shape[:-1] != regions:
            resampling(shape[0], regions[0])
    return (*regions, sum(shape[-1] for shape in shapes))


def folders(directory: Path, count: int) -> list[Path]:
    """Returns where a run keeps each of its encoders: itself for a single one, else a folder for each."""
    return [directory] if count == 1 else [directory / f"encoder_{number + 1}" for number in range(count)]


def join(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Joins features (P, D) or (P, L, D) of the same images along their channels; the first one's type is kept."""
    first = parts[0]
    if len(parts) == 1:
        return first
    out = np.empty((len(first), *joined_shape([part.shape[1:] for part in parts])), first.dtype)
    start = 0
    for part in parts:
        if part.ndim == 3 and part.shape[1] != first.shape[1]:
            part = np.matmul(resampling(part.shape[1], first.shape[1]), part.astype(np.float32))
        out[..., start : start + part.shape[-1]] = part
        start += part.shape[-1]
    return out


@cache
def resampling(given: int, wanted: int) -> np.ndarray:
    """Returns how much each region of a square grid counts in each region of another, (wanted, given).

    Raises:
        FeatureError: One of them is not square.
    """
    sides = math.isqrt(given), math.isqrt(wanted)
    if sides[0] ** 2 != given or sides[1] ** 2 != wanted:
        raise FeatureError(
            f"encoder: grids of {given} and {wanted} regions cannot be joined; set image_size so that both have as many"
        )
    ends = [np.arange(side + 1) / side for side in sides]
    over = np.minimum(ends[1][1:, None], ends[0][None, 1:]) - np.maximum(ends[1][:-1, None], ends[0][None, :-1])
    line = np.maximum(over, 0.0) * sides[1]
    return np.kron(line, line).astype(np.float32)


class JoinedStore:
    """Several stores read as one; it holds the images that all of them hold.

    Attributes:
        shape: Of one image's features: (D,) or (L, D).
        ids: The images that have features.
        broken: Unreadable images and why.
    """

    def __init__(self, stores: Sequence[FeatureStore]) -> None:
        self.stores = tuple(stores)
        self.shape = joined_shape([store.shape for store in stores])
        self.broken = {image: why for store in reversed(self.stores) for image, why in store.broken.items()}
        self.ids = [image for image in stores[0].ids if all(image in store for store in stores)]
        self._row = {image: row for row, image in enumerate(self.ids)}
        self._rows = [store.rows(self.ids) for store in stores]

    def __contains__(self, image_id: object) -> bool:
        return image_id in self._row

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, ids: Sequence[str]) -> np.ndarray:
        """Returns the row numbers (int64) of images, for `gather`.

        Raises:
            FeatureError: Some have no features; the message names the first.
        """
        if any(image not in self._row for image in ids):
            for store in self.stores:
                store.rows(ids)
        return np.array([self._row[image] for image in ids], np.int64)

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Returns the joined features of rows, (N, D) float32 or (N, L, D) float16; a copy."""
        return join([store.gather(own[rows]) for store, own in zip(self.stores, self._rows, strict=True)])


@dataclass(frozen=True)
class JoinedEncoder:
    """Several encoders, one after the other.

    Attributes:
        parts: The encoders.
        feature_shape: Of one image's joined features: (D,) or (L, D).
    """

    parts: "tuple[Encoder, ...]"
    feature_shape: tuple[int, ...]
