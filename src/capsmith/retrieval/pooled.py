"""Features of images as one vector each, as the caption index and the training domain compare them.

N images · L regions · D channels.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np


class FeatureLookup(Protocol):
    """Returns features of images by id, such as a member of an ensemble."""

    def features(self, ids: Sequence[str]) -> np.ndarray:
        """Returns features (N, D) or (N, L, D)."""


def pool(features: np.ndarray) -> np.ndarray:
    """Returns the mean over regions of (N, L, D), or (N, D) unchanged, in float32."""
    features = np.asarray(features, np.float32)
    return features.mean(axis=1) if features.ndim == 3 else features
