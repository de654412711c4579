"""Bootstrap over images: intervals, and the paired test (Efron 1979; Koehn 2004).

Metrics keep one row of statistics an image and can compute a value from summed rows, so a resample is one row of a
matrix product: nothing is scored twice.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Combine = Callable[[Floats], Floats]
RESAMPLES = 1000
SEED = 20130826
_CELLS = 4_000_000  # numbers drawn at once: bounds the memory


def interval(
    statistics: Floats, combine: Combine, resamples: int = RESAMPLES, seed: int = SEED
) -> tuple[float, float] | None:
    """Returns the 2.5 and 97.5 percentiles of the resampled values.

    Args:
        statistics: One row an image, (N, S).
        combine: Turns summed rows (…, S) into values (…).
        resamples: How often N images are drawn with replacement.
        seed: The same seed draws the same images.

    Returns:
        (low, high); None for fewer than two images, which have no spread.
    """
    if len(statistics) < 2:
        return None
    values = np.concatenate([combine(drawn @ statistics) for drawn in _draws(len(statistics), resamples, seed)])
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


@dataclass(frozen=True)
class Comparison:
    """Two sets of captions on the same images.

    Attributes:
        difference: Value of the first minus value of the second.
        interval: 95 % bootstrap interval of the difference; None for fewer than two images.
        p_value: Two-sided: how often a difference as large arises when there is none; 1 for fewer than two images.
    """

    difference: float
    interval: tuple[float, float] | None
    p_value: float


def compare(
    first: Floats, second: Floats, combine: Combine, resamples: int = RESAMPLES, seed: int = SEED
) -> Comparison:
    """Tests whether two sets of captions differ, drawing the same images for both (Koehn 2004).

    The resampled differences, moved to mean 0, stand for "no difference"; p is the share of them that reach the one
    observed, counted with it among them (Davison and Hinkley 1997, eq. 4.11), so that it is never 0.

    Args:
        first: Statistics of the first, (N, S).
        second: Statistics of the second, for the same images in the same order.
        combine: Turns summed rows (…, S) into values (…).
        resamples: How often N images are drawn.
        seed: The same seed draws the same images.
    """
    observed = float(combine(first.sum(axis=0)) - combine(second.sum(axis=0)))
    if len(first) < 2:
        return Comparison(observed, None, 1.0)
    drawn = _draws(len(first), resamples, seed)
    differences = np.concatenate([combine(rows @ first) - combine(rows @ second) for rows in drawn])
    low, high = np.percentile(differences, [2.5, 97.5])
    extreme = np.abs(differences - differences.mean()) >= abs(observed)
    return Comparison(observed, (float(low), float(high)), float((extreme.sum() + 1) / (resamples + 1)))


def _draws(images: int, resamples: int, seed: int) -> Iterator[Floats]:
    """Yields, in blocks of rows, how often each image is drawn, (block, N)."""
    generator = np.random.default_rng(seed)
    block = max(1, _CELLS // images)
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        chosen = generator.integers(0, images, (rows, images)) + np.arange(rows)[:, None] * images
        counts = np.bincount(chosen.ravel(), minlength=rows * images)
        yield counts.reshape(rows, images).astype(np.float64)


def mean(summed: Floats) -> Floats:
    """Combines rows (value, 1): the mean over images."""
    return np.asarray(summed[..., 0] / summed[..., 1], np.float64)
