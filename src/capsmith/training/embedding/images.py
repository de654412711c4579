"""The training and dev images of a joint embedding: their features in memory, and groups of copies.

P images · L regions · D feature channels · W inputs of the image head.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from capsmith.data.sources import FeatureSource
from capsmith.retrieval.heads import ImagePooling, pooled_input
from capsmith.retrieval.pooled import pool

_AT_ONCE = 256  # images
_COPIES = 0.999  # visual cosine of copies of one image
_BLOCK = 1024  # rows of the matrix of cosines at once


class PooledFeatures:
    """Features of some images, pooled once and held in memory; grids for attention stay on disk.

    Args:
        source: The features (D,) or (L, D).
        ids: The images; an image's row is its place here.
        pooling: How regions are pooled.
    """

    def __init__(self, source: FeatureSource, ids: Sequence[str], pooling: ImagePooling) -> None:
        self.source, self.pooling = source, pooling
        self._rows = source.rows(ids)
        self._row = {image_id: row for row, image_id in enumerate(ids)}
        first = source.gather(self._rows[:1])
        self._grids = first.ndim == 3 and pooling == "attention"
        self._matrix = None if self._grids else self.map(lambda features: pooled_input(features, pooling))

    def means(self) -> np.ndarray:
        """Returns the mean over regions of all images (P, D), float32."""
        return self._matrix if self._matrix is not None and self.pooling == "mean" else self.map(pool)

    def map(self, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Returns the rows of a function of the original features of all images."""
        starts = range(0, len(self._rows), _AT_ONCE)
        return np.concatenate([function(self.source.gather(self._rows[n : n + _AT_ONCE])) for n in starts])

    def sample(self, count: int, seed: int) -> np.ndarray:
        """Returns what the image head reads of some random images."""
        return self.gather(np.sort(np.random.default_rng(seed).permutation(len(self._rows))[:count]))

    def batches(self) -> Iterator[np.ndarray]:
        """Yields what the image head reads of all images, in parts."""
        for start in range(0, len(self._rows), _AT_ONCE):
            yield self.gather(np.arange(start, min(start + _AT_ONCE, len(self._rows))))

    def rows(self, ids: Sequence[str]) -> np.ndarray:
        """Returns the row of each image."""
        return np.array([self._row[image_id] for image_id in ids], np.int64)

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Returns what the image head reads, (P, W) float32, or grids (P, L, D)."""
        return self.source.gather(self._rows[rows]) if self._matrix is None else self._matrix[rows]


def copies(visual_Pv: np.ndarray) -> np.ndarray:  # noqa: N803
    """Returns the group of each image (P,): its own row, or that of the first image of which it is a copy.

    Args:
        visual_Pv: Visual vectors of the images, of length 1.
    """
    groups = np.arange(len(visual_Pv))
    for start in range(0, len(visual_Pv), _BLOCK):
        block = visual_Pv[start : start + _BLOCK]
        found, of = np.nonzero(block @ visual_Pv[: start + len(block)].T > _COPIES)
        for row, first in zip(found + start, of, strict=True):
            if first < row:
                groups[row] = min(groups[row], groups[first])
    return groups
