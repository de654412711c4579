"""The random numbers that samples are drawn by: those of an image are the same in every batch.

B images · T words · N = B · samples rows · D channels.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

_CHANNELS = 3  # tell 1,418 of 1,500 photographs apart; their order hangs on the last bits for 1 in 30,000
_BELOW_ONE = np.float32(1 - 2**-24)  # 1 itself would lie beyond the last word


def draws(seed: int, length: int, samples: int, features: Any) -> np.ndarray:
    """Returns the uniform random numbers that pick each word of each sample, (T, N), float32 below 1.

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
    own = [np.random.default_rng((seed, *numbers)).random((length, samples), np.float32) for numbers in streams]
    return np.minimum(np.concatenate(own, axis=1), _BELOW_ONE)


def strongest_channels(features: np.ndarray) -> list[tuple[int, ...]]:
    """Returns the channels of (B, …, D) that are strongest in the mean over regions, the strongest first."""
    mean = features.reshape(len(features), -1, features.shape[-1]).mean(axis=1, dtype=np.float32)
    return [tuple(row) for row in np.argsort(-mean, axis=1, kind="stable")[:, :_CHANNELS].tolist()]
