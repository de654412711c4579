"""Random choice of tokens that gives an image the same samples in every batch.

B images · T longest caption · N = B · samples rows · D channels · V vocabulary.

Two things could make the samples depend on the batch. First, random numbers that depend on the position in the batch:
see ``draws``. Second, rounding differences of the probabilities between batch sizes, which matter if a random number is
close to the border between two tokens. With V tokens on one line, some border is always close. A token is therefore
drawn in three steps, among r blocks of r blocks of r tokens with r³ ≥ V, each with its own random number, which gives
3 r borders instead of V.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

_CHANNELS = 3  # distinguish 1,418 of 1,500 photographs; rounding changes their order for 1 in 30,000
_BELOW_ONE = np.float32(1 - 2**-24)  # 1 would be beyond the last token


def draws(seed: int, length: int, samples: int, features: Any) -> np.ndarray:
    """Returns the uniform random numbers that choose each token of each sample, (T, 3, N), float32 below 1.

    The numbers of an image are derived from the seed and the order of its strongest feature channels. They depend
    neither on the batch nor on rounding of the features, and most pairs of images get different numbers.

    Args:
        seed: Seed of the search.
        length: T.
        samples: Samples of each image.
        features: Features of B images, an array (B, …, D); or an object whose ``streams`` provides integers for
            each image that replace its strongest channels.
    """
    streams: Sequence[tuple[int, ...]] = getattr(features, "streams", None) or strongest_channels(features)
    by_image = [np.random.default_rng((seed, *ids)).random((length, 3, samples), np.float32) for ids in streams]
    return np.minimum(np.concatenate(by_image, axis=2), _BELOW_ONE)


def strongest_channels(features: np.ndarray) -> list[tuple[int, ...]]:
    """Returns the channels of (B, …, D) with the largest mean over regions, largest first."""
    mean = features.reshape(len(features), -1, features.shape[-1]).mean(axis=1, dtype=np.float32)
    return [tuple(row) for row in np.argsort(-mean, axis=1, kind="stable")[:, :_CHANNELS].tolist()]


def block_size(vocabulary_size: int) -> int:
    """Returns r, the smallest integer with r³ ≥ V."""
    size = round(vocabulary_size ** (1 / 3))
    return size if size**3 >= vocabulary_size else size + 1


def draw_tokens(xp: Any, weights: Any, chances: Any) -> Any:
    """Draws one token for each row.

    Args:
        xp: The array namespace.
        weights: Probabilities up to a factor (N, V); no row is all zeros.
        chances: Random numbers (3, N), see ``draws``.

    Returns:
        The tokens (N,), int32.
    """
    size = block_size(weights.shape[1])
    cube = xp.reshape(xp.pad(weights, ((0, 0), (0, size**3 - weights.shape[1]))), (-1, size, size * size))
    row = xp.arange(xp.shape(cube)[0], dtype="int32") * size
    first = _first_beyond(xp, xp.sum(cube, axis=2), chances[0])
    block = xp.reshape(xp.take(xp.reshape(cube, (-1, size * size)), row + first, axis=0), (-1, size, size))
    second = _first_beyond(xp, xp.sum(block, axis=2), chances[1])
    third = _first_beyond(xp, xp.take(xp.reshape(block, (-1, size)), row + second, axis=0), chances[2])
    return (first * size + second) * size + third


def _first_beyond(xp: Any, weights: Any, chance: Any) -> Any:
    """Returns the first index (N,) at which the running sum of (N, r) exceeds the chance's fraction of the total."""
    reached = xp.cumsum(weights, axis=1)
    return xp.cast(xp.argmax(xp.cast(reached > chance[:, None] * reached[:, -1:], "int32"), axis=1), "int32")
