"""Scaling of feature channels by their deviation over training images."""

import numpy as np

_FLOOR = 0.01
_TINY = np.float32(1e-12)


def feature_scale(variance: np.ndarray, typical: float | np.floating) -> np.ndarray:
    """Returns the factors that bring channels to a deviation of about 1.

    Args:
        variance: Variance of each channel over the training images, (D,).
        typical: A typical variance. 1 % of it is added to each variance, so that channels that are almost constant are
            not amplified.
    """
    scale: np.ndarray = 1.0 / np.sqrt(variance + _FLOOR * typical + _TINY)
    return scale
