"""Pictures that show the same: found by small grey copies, whatever their size, format and compression."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

SIDE = 16
"""Side of the grey copy in pixels."""
_BITS, _BANDS = 64, 4
_FAR = 3  # bits that may differ; with one band more, one band is equal for certain
_LEVELS = 8.0  # grey levels by which copies may differ in the mean


def grey(pixels: np.ndarray) -> np.ndarray:
    """Returns the grey copy (16, 16), float32, of RGB pixels (H, W, 3) whose sides are multiples of 16."""
    height, width = pixels.shape[0] // SIDE, pixels.shape[1] // SIDE
    weighed = pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    mean: np.ndarray = weighed.reshape(SIDE, height, SIDE, width).mean(axis=(1, 3))
    return mean


def fingerprint(copy: np.ndarray) -> int:
    """Returns 64 bits of a grey copy: where it gets brighter from left to right, in blocks of 2 × 2."""
    blocks = copy.reshape(8, 2, 8, 2).mean(axis=(1, 3))
    right = np.concatenate([blocks[:, 1:], blocks[:, :1]], axis=1)
    return int.from_bytes(np.packbits((right > blocks).ravel()).tobytes(), "big")


def alike(copies: Sequence[np.ndarray]) -> list[tuple[int, int]]:
    """Returns the pairs of pictures that show the same, by their places; the first is the smaller.

    Candidates differ in three of 64 bits at most: of four parts of the bits one then is equal, and only pictures that
    share a part are compared. Their grey copies decide.
    """
    bits = [fingerprint(copy) for copy in copies]
    width = _BITS // _BANDS
    pairs: set[tuple[int, int]] = set()
    for band in range(_BANDS):
        groups: dict[int, list[int]] = defaultdict(list)
        for place, value in enumerate(bits):
            groups[value >> (band * width) & (1 << width) - 1].append(place)
        for group in groups.values():
            pairs |= _close(np.array(group), bits, copies)
    return sorted(pairs)


def _close(group: np.ndarray, bits: Sequence[int], copies: Sequence[np.ndarray]) -> set[tuple[int, int]]:
    values = np.array([bits[place] for place in group], np.uint64)
    found = set()
    for first in range(len(group) - 1):
        near = _bits(values[first + 1 :] ^ values[first]) <= _FAR
        for second in np.flatnonzero(near) + first + 1:
            one, other = copies[group[first]], copies[group[second]]
            if np.abs(one - other).mean() <= _LEVELS:
                found.add((int(group[first]), int(group[second])))
    return found


def _bits(values: np.ndarray) -> np.ndarray:
    """Returns how many bits of each number are set (NumPy 2's ``bitwise_count``)."""
    counted: np.ndarray = np.unpackbits(values.view(np.uint8).reshape(-1, 8), axis=1).sum(axis=1)
    return counted
