"""Images that show the same: found by small copies, whatever their size, format and compression."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

SIDE = 16
"""Side of the small copy in pixels."""
_BITS, _BANDS = 64, 4
_FAR = 3  # bits that may differ; with one band more, one band is equal for certain
_LEVELS = 8.0  # levels by which copies may differ in the mean over pixels and colours


def small_copy(pixels: np.ndarray) -> np.ndarray:
    """Returns the copy (16, 16, 3), uint8, of RGB pixels (H, W, 3) whose sides are multiples of 16."""
    height, width = pixels.shape[0] // SIDE, pixels.shape[1] // SIDE
    mean = pixels.astype(np.float32).reshape(SIDE, height, SIDE, width, 3).mean(axis=(1, 3))
    copy: np.ndarray = np.rint(mean).astype(np.uint8)
    return copy


def fingerprint(copy: np.ndarray) -> int:
    """Returns 64 bits of a copy: where it gets brighter from left to right, in blocks of 2 × 2."""
    grey = copy.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    blocks = grey.reshape(8, 2, 8, 2).mean(axis=(1, 3))
    right = np.concatenate([blocks[:, 1:], blocks[:, :1]], axis=1)
    return int.from_bytes(np.packbits((right > blocks).ravel()).tobytes(), "big")


def alike(copies: Sequence[np.ndarray]) -> list[list[int]]:
    """Returns the groups of images that show the same, by their places, each in order.

    Equal copies are one group from the start. Of the others, candidates differ in three of 64 bits at most: of four
    parts of the bits one then is equal, and only images that share a part are compared, by their copies.
    """
    equal: dict[bytes, list[int]] = defaultdict(list)
    for place, copy in enumerate(copies):
        equal[copy.tobytes()].append(place)
    first = [places[0] for places in equal.values()]
    bits = [fingerprint(copies[place]) for place in first]
    pairs: set[tuple[int, int]] = set()
    width = _BITS // _BANDS
    for band in range(_BANDS):
        parts: dict[int, list[int]] = defaultdict(list)
        for number, value in enumerate(bits):
            parts[value >> (band * width) & (1 << width) - 1].append(number)
        for some in parts.values():
            pairs |= _close(np.array(some), bits, [copies[first[number]] for number in some])
    joined = _joined([(first[a], first[b]) for a, b in pairs], equal.values())
    return sorted(sorted(group) for group in joined if len(group) > 1)


def _close(numbers: np.ndarray, bits: Sequence[int], copies: Sequence[np.ndarray]) -> set[tuple[int, int]]:
    if len(numbers) < 2:
        return set()
    values = np.array([bits[number] for number in numbers], np.uint64)
    stacked = np.stack(copies).astype(np.int16)
    found = set()
    for one in range(len(numbers) - 1):
        near = np.flatnonzero(_set_bits(values[one + 1 :] ^ values[one]) <= _FAR) + one + 1
        if len(near):
            apart = np.abs(stacked[near] - stacked[one]).mean(axis=(1, 2, 3))
            found |= {(int(numbers[one]), int(numbers[other])) for other in near[apart <= _LEVELS]}
    return found


def _joined(pairs: Iterable[tuple[int, int]], groups: Iterable[Sequence[int]]) -> list[list[int]]:
    """Joins groups that a pair connects."""
    group_of = {place: list(group) for group in groups for place in group[:1]}
    for group in list(group_of.values()):
        for place in group:
            group_of[place] = group
    for one, other in pairs:
        a, b = group_of[one], group_of[other]
        if a is not b:
            a += b
            for place in b:
                group_of[place] = a
    return list({id(group): group for group in group_of.values()}.values())


def _set_bits(values: np.ndarray) -> np.ndarray:
    """Returns how many bits of each number are set (NumPy 2's ``bitwise_count``)."""
    counted: np.ndarray = np.unpackbits(values.view(np.uint8).reshape(-1, 8), axis=1).sum(axis=1)
    return counted
