"""Near-duplicate images, found from their thumbnails regardless of size, format and compression."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

SIDE = 16
"""Height and width of the thumbnails in pixels."""
_BITS, _BANDS = 64, 4
_MAX_DISTANCE = 3  # bits. With one band more than this, two near-duplicates always have one equal band.
_MAX_DIFFERENCE = 8.0  # grey levels, the mean over pixels and channels


def downscale(pixels: np.ndarray) -> np.ndarray:
    """Returns the thumbnail (16, 16, 3), uint8, of RGB pixels (H, W, 3) whose sides are multiples of 16."""
    height, width = pixels.shape[0] // SIDE, pixels.shape[1] // SIDE
    mean = pixels.astype(np.float32).reshape(SIDE, height, SIDE, width, 3).mean(axis=(1, 3))
    thumbnail: np.ndarray = np.rint(mean).astype(np.uint8)
    return thumbnail


def difference_hash(thumbnail: np.ndarray) -> int:
    """Returns a 64-bit hash of a thumbnail: which of 8 × 8 blocks are darker than their right neighbour."""
    grey = thumbnail.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    blocks = grey.reshape(8, 2, 8, 2).mean(axis=(1, 3))
    right = np.concatenate([blocks[:, 1:], blocks[:, :1]], axis=1)
    return int.from_bytes(np.packbits((right > blocks).ravel()).tobytes(), "big")


def near_duplicates(thumbnails: Sequence[np.ndarray]) -> list[list[int]]:
    """Returns groups of near-duplicates as sorted indices of thumbnails.

    Equal thumbnails form a group from the start. Others are candidates if their hashes differ in at most three of 64
    bits. At least one of four bands of the bits is then equal, so only images that share a band are compared by their
    thumbnails.
    """
    equal: dict[bytes, list[int]] = defaultdict(list)
    for index, thumbnail in enumerate(thumbnails):
        equal[thumbnail.tobytes()].append(index)
    distinct = [indices[0] for indices in equal.values()]
    hashes = [difference_hash(thumbnails[index]) for index in distinct]
    pairs: set[tuple[int, int]] = set()
    width = _BITS // _BANDS
    for band in range(_BANDS):
        buckets: dict[int, list[int]] = defaultdict(list)
        for number, value in enumerate(hashes):
            buckets[value >> (band * width) & (1 << width) - 1].append(number)
        for bucket in buckets.values():
            pairs |= _similar_pairs(np.array(bucket), hashes, [thumbnails[distinct[number]] for number in bucket])
    groups = _merge_groups([(distinct[a], distinct[b]) for a, b in pairs], equal.values())
    return sorted(sorted(group) for group in groups if len(group) > 1)


def _similar_pairs(
    numbers: np.ndarray, hashes: Sequence[int], thumbnails: Sequence[np.ndarray]
) -> set[tuple[int, int]]:
    if len(numbers) < 2:
        return set()
    values = np.array([hashes[number] for number in numbers], np.uint64)
    pixels = np.stack(thumbnails).astype(np.int16)
    pairs = set()
    for first in range(len(numbers) - 1):
        candidates = np.flatnonzero(_count_bits(values[first + 1 :] ^ values[first]) <= _MAX_DISTANCE) + first + 1
        if len(candidates):
            difference = np.abs(pixels[candidates] - pixels[first]).mean(axis=(1, 2, 3))
            similar = candidates[difference <= _MAX_DIFFERENCE]
            pairs |= {(int(numbers[first]), int(numbers[second])) for second in similar}
    return pairs


def _merge_groups(pairs: Iterable[tuple[int, int]], groups: Iterable[Sequence[int]]) -> list[list[int]]:
    """Merges groups that are connected by a pair."""
    group_of = {index: list(group) for group in groups for index in group[:1]}
    for group in list(group_of.values()):
        for index in group:
            group_of[index] = group
    for first, second in pairs:
        a, b = group_of[first], group_of[second]
        if a is not b:
            a += b
            for index in b:
                group_of[index] = a
    return list({id(group): group for group in group_of.values()}.values())


def _count_bits(values: np.ndarray) -> np.ndarray:
    """Returns the number of set bits of each value (NumPy 2's ``bitwise_count``)."""
    counts: np.ndarray = np.unpackbits(values.view(np.uint8).reshape(-1, 8), axis=1).sum(axis=1)
    return counts
