"""Features of several encoders, concatenated along the channels.

P images · L regions · D channels.

Pooled vectors are concatenated, and grids region by region. A grid of another size is first resampled to the grid of
the first encoder: each region is the mean over the area that it covers.
"""

import math
from collections.abc import Sequence
from functools import cache

import numpy as np

from capsmith.core.errors import FeatureError


def joined_shape(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """Returns the shape of one image's joined features, (D,) or (L, D).

    Raises:
        FeatureError: Vectors and grids are mixed, or grids of different sizes are not square.
    """
    if len({len(shape) for shape in shapes}) > 1:
        raise FeatureError("encoder: pooled and grid features cannot be joined; set the same output for all encoders")
    regions = shapes[0][:-1]
    for shape in shapes[1:]:
        if shape[:-1] != regions:
            resampling_matrix(shape[0], regions[0])
    return (*regions, sum(shape[-1] for shape in shapes))


def join_features(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Joins features (P, D) or (P, L, D) of the same images along their channels, in the first one's dtype."""
    first = parts[0]
    if len(parts) == 1:
        return first
    joined = np.empty((len(first), *joined_shape([part.shape[1:] for part in parts])), first.dtype)
    start = 0
    for part in parts:
        if part.ndim == 3 and part.shape[1] != first.shape[1]:
            part = np.matmul(resampling_matrix(part.shape[1], first.shape[1]), part.astype(np.float32))
        joined[..., start : start + part.shape[-1]] = part
        start += part.shape[-1]
    return joined


def overlaps(source: int, target: int) -> np.ndarray:
    """Returns the length that each cell of one division of [0, 1] shares with each of another, (target, source)."""
    old, new = np.arange(source + 1) / source, np.arange(target + 1) / target
    shared = np.minimum(new[1:, None], old[None, 1:]) - np.maximum(new[:-1, None], old[None, :-1])
    return np.maximum(shared, 0.0)


@cache
def resampling_matrix(source: int, target: int) -> np.ndarray:
    """Returns the weight of each region of a square grid in each region of another one, (target, source).

    Raises:
        FeatureError: One of the grids is not square.
    """
    sides = math.isqrt(source), math.isqrt(target)
    if sides[0] ** 2 != source or sides[1] ** 2 != target:
        raise FeatureError(
            f"encoder: grids of {source} and {target} regions cannot be joined; set image_size so that both have the "
            "same number"
        )
    one_axis = overlaps(*sides) * sides[1]
    return np.kron(one_axis, one_axis).astype(np.float32)
