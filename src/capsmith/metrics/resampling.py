"""Bootstrap over images: intervals, and the paired test (Efron 1979; Koehn 2004).

Metrics return one row of statistics per image and compute a value from summed rows. A resample is one row of a matrix
product, and nothing is scored twice.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Combine = Callable[[Floats], Floats]
RESAMPLES = 1000
SEED = 20130826
_CELLS = 4_000_000  # random numbers drawn at once: bounds the memory


def interval(
    statistics: Floats, combine: Combine, resamples: int = RESAMPLES, seed: int = SEED
) -> tuple[float, float] | None:
    """Returns the 2.5 and 97.5 percentiles of the resampled values.

    Args:
        statistics: One row per image, (N, S).
        combine: Computes values from summed rows, (…, S) to (…).
        resamples: The number of resamples, each of N images with replacement.
        seed: The seed of the resamples.

    Returns:
        (low, high); None for fewer than two images.
    """
    if len(statistics) < 2:
        return None
    values = np.concatenate([combine(drawn @ statistics) for drawn in _draws(len(statistics), resamples, seed)])
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


@dataclass(frozen=True)
class Comparison:
    """The comparison of two sets of captions of the same images.

    Attributes:
        difference: The value of the first minus the value of the second.
        interval: The 95 % bootstrap interval of the difference; None for fewer than two images.
        p_value: The two-sided p-value; 1 for fewer than two images.
    """

    difference: float
    interval: tuple[float, float] | None
    p_value: float


def compare(
    first: Floats, second: Floats, combine: Combine, resamples: int = RESAMPLES, seed: int = SEED
) -> Comparison:
    """Tests whether two sets of captions differ, with the same resamples for both (Koehn 2004).

    The resampled differences, shifted to mean 0, represent the null hypothesis. p is the share of them that reach the
    observed difference, which counts as one of them (Davison and Hinkley 1997, eq. 4.11), so p is never 0.

    Args:
        first: The statistics of the first set, (N, S).
        second: The statistics of the second set, in the same order of images.
        combine: Computes values from summed rows, (…, S) to (…).
        resamples: The number of resamples.
        seed: The seed of the resamples.
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
    """Yields blocks of resamples: how often each image is drawn, (block, N)."""
    generator = np.random.default_rng(seed)
    block = max(1, _CELLS // images)
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        chosen = generator.integers(0, images, (rows, images)) + np.arange(rows)[:, None] * images
        counts = np.bincount(chosen.ravel(), minlength=rows * images)
        yield counts.reshape(rows, images).astype(np.float64)


def mean(summed: Floats) -> Floats:
    """Computes the mean over images from summed rows of (value, 1)."""
    return np.asarray(summed[..., 0] / summed[..., 1], np.float64)
