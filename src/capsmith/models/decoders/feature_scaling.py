"""Features brought to one scale.

D channels.

What comes out of an ImageNet network is never negative, and a few channels are far larger than the others: most of a
image's vector is what all images share. Without that share training begins with what makes images different.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

_FLOOR = 0.01  # of the channels' mean variance: a channel that hardly ever speaks is not blown up


class ChannelDropout(keras.layers.Dropout):
    """Hides whole channels of an image, in all its regions at once: (P, D) or (P, L, D)."""

    def call(self, features: Any, training: bool = False) -> Any:
        """Returns features, in training with some channels at zero and the others stretched."""
        self.noise_shape = None if len(features.shape) == 2 else (None, 1, None)
        return super().call(features, training=training)


class Standardise(keras.layers.Layer):
    """Takes away each channel's mean over the training images, and divides by its deviation.

    Until `learn` has seen features it changes nothing; what it learned is part of the checkpoint.
    """

    def build(self, input_shape: Any) -> None:
        """Makes the two vectors (D,)."""
        size = (input_shape[-1],)
        self.mean = self.add_weight(shape=size, initializer="zeros", trainable=False, name="mean")
        self.scale = self.add_weight(shape=size, initializer="ones", trainable=False, name="scale")

    def learn(self, features: np.ndarray) -> None:
        """Takes mean and deviation from features (P, …, D)."""
        flat = features.reshape(-1, features.shape[-1]).astype(np.float32)
        variance = flat.var(axis=0)
        self.mean.assign(flat.mean(axis=0))
        self.scale.assign(1.0 / np.sqrt(variance + _FLOOR * variance.mean() + np.float32(1e-12)))

    def call(self, features: Any) -> Any:
        """Returns features (P, …, D) with mean 0 and deviation about 1 over the training images."""
        return (features - ops.cast(self.mean, features.dtype)) * ops.cast(self.scale, features.dtype)
