"""Drawing words at random, so that an image's samples are the same in every batch.

B images · T words · N = B · samples rows · D channels · V vocabulary.

Two things could make them differ. Random numbers must not be those of a place in the batch: see ``draws``. And the
last bits of probabilities differ from one size of batch to another, which decides where a random number lies close to
the border between two words. Along one line of V words there is always a border close by. So a word is drawn in three
steps, among r blocks of r blocks of r words, r³ ≥ V, each by a random number of its own: 3 r borders in the place of V.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

_CHANNELS = 3  # tell 1,418 of 1,500 photographs apart; their order hangs on the last bits for 1 in 30,000
_BELOW_ONE = np.float32(1 - 2**-24)  # 1 itself would lie beyond the last word


def draws(seed: int, length: int, samples: int, features: Any) -> np.ndarray:
    """Returns the uniform random numbers that pick each word of each sample, (T, 3, N), float32 below 1.

    An image's numbers follow from the seed and from which channels of its features are strongest, in order. So they
    do not depend on what else is in the batch, nor on the order of the batch; they do not depend on the last bits of
    the features either, which differ from one size of batch to another; and images that differ most often have other
    numbers, so that chance in one does not repeat in the next.

    Args:
        seed: Of the search.
        length: T.
        samples: Of each image.
        features: Of B images, an array (B, …, D); or an object whose ``streams`` says for each image whole numbers
            to draw by in the place of its strongest channels.
    """
    streams: Sequence[tuple[int, ...]] = getattr(features, "streams", None) or strongest_channels(features)
    own = [np.random.default_rng((seed, *numbers)).random((length, 3, samples), np.float32) for numbers in streams]
    return np.minimum(np.concatenate(own, axis=2), _BELOW_ONE)


def strongest_channels(features: np.ndarray) -> list[tuple[int, ...]]:
    """Returns the channels of (B, …, D) that are strongest in the mean over regions, the strongest first."""
    mean = features.reshape(len(features), -1, features.shape[-1]).mean(axis=1, dtype=np.float32)
    return [tuple(row) for row in np.argsort(-mean, axis=1, kind="stable")[:, :_CHANNELS].tolist()]


def block_size(words: int) -> int:
    """Returns r, the smallest number whose third power is not below V."""
    size = round(words ** (1 / 3))
    return size if size**3 >= words else size + 1


def words_drawn(weights: np.ndarray, chances: np.ndarray) -> np.ndarray:
    """Draws a word a row.

    Args:
        weights: Probabilities up to a factor, (N, V); no row is all zeros.
        chances: Of the words, (3, N).

    Returns:
        The words, (N,).
    """
    rows, size = np.arange(len(weights)), block_size(weights.shape[1])
    padded = np.zeros((len(weights), size**3))
    padded[:, : weights.shape[1]] = weights
    cube = padded.reshape(-1, size, size, size)
    first = _first_beyond(cube.sum(axis=(2, 3)), chances[0])
    second = _first_beyond(cube[rows, first].sum(axis=2), chances[1])
    third = _first_beyond(cube[rows, first, second], chances[2])
    return (first * size + second) * size + third


def _first_beyond(weights: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Returns the first place (N,) at which the running sum of (N, r) exceeds the chance's share of the whole."""
    reached = np.cumsum(weights, axis=1)
    found: np.ndarray = (reached > chance[:, None] * reached[:, -1:]).argmax(axis=1)
    return found
