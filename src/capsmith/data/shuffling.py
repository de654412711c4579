"""The order of an epoch: a full shuffle, or one within windows of a store that is read nearly in sequence."""

import numpy as np

BLOCKS = 16
"""Contiguous runs of rows in a window."""


def epoch_order(rows: np.ndarray, rng: np.random.Generator, window: int | None = None) -> np.ndarray:
    """Returns a random order of images or captions, (N,): places in ``rows``.

    With a window, the rows are divided into contiguous blocks, of which a window holds 16, chosen at random; the order
    within a window is random. An epoch therefore reads the store in runs of ``window / 16`` rows, from 16 places at a
    time. The borders of the blocks differ from epoch to epoch.

    Args:
        rows: Row of each in the store; negative rows belong to another store and are spread evenly.
        rng: Source of random numbers: the order is a function of its seed.
        window: Items in a window; None shuffles all.
    """
    if window is None or window >= len(rows):
        return rng.permutation(len(rows))
    own, other = np.flatnonzero(rows >= 0), np.flatnonzero(rows < 0)
    own = own[np.argsort(rows[own], kind="stable")]
    size = max(1, window // BLOCKS)
    borders = np.arange(int(rng.integers(size)), len(own), size)
    blocks = [block for block in np.split(own, borders) if len(block)]
    blocks = [blocks[place] for place in rng.permutation(len(blocks))]
    windows = [np.concatenate(blocks[first : first + BLOCKS]) for first in range(0, len(blocks), BLOCKS)]
    order = np.concatenate([part[rng.permutation(len(part))] for part in windows] or [own])
    if not len(other):
        return order
    mixed = np.empty(len(rows), np.int64)
    is_other = np.zeros(len(rows), bool)
    is_other[rng.permutation(len(rows))[: len(other)]] = True
    mixed[is_other], mixed[~is_other] = rng.permutation(other), order
    return mixed


def batch_order(count: int, rng: np.random.Generator, at_once: int | None = None) -> np.ndarray:
    """Returns a random order of batches, (count,).

    Args:
        count: Number of batches.
        rng: Source of random numbers.
        at_once: Batches of a window, which stay together; None shuffles all.
    """
    if at_once is None or at_once >= count:
        return rng.permutation(count)
    parts = [first + rng.permutation(min(at_once, count - first)) for first in range(0, count, at_once)]
    return np.concatenate(parts)
