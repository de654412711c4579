"""Scaling and dropout of feature channels.

D channels.

Outputs of ImageNet networks are never negative, and a few channels are far larger than the others: most of a feature
vector is common to all images. Without this common part, training starts from the differences between images.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from capsmith.vision.feature_scale import feature_scale


class SpatialDropout(keras.layers.Dropout):
    """Drops complete channels of an image, in all regions at once: (P, D) or (P, L, D)."""

    def call(self, features: Any, training: bool = False) -> Any:
        """Returns the features; in training some channels are zero, and the others are scaled up."""
        self.noise_shape = None if len(features.shape) == 2 else (None, 1, None)
        return super().call(features, training=training)


class FeatureScaling(keras.layers.Layer):
    """Subtracts the mean of each channel over the training images, and divides by its deviation.

    The layer is the identity until ``learn`` is called. Mean and scale are part of the checkpoint.
    """

    def build(self, input_shape: Any) -> None:
        """Creates the two vectors (D,)."""
        size = (input_shape[-1],)
        self.mean = self.add_weight(shape=size, initializer="zeros", trainable=False, name="mean")
        self.scale = self.add_weight(shape=size, initializer="ones", trainable=False, name="scale")

    def learn(self, features: np.ndarray) -> None:
        """Sets mean and scale from features (P, …, D)."""
        flat = features.reshape(-1, features.shape[-1]).astype(np.float32)
        variance = flat.var(axis=0)
        self.mean.assign(flat.mean(axis=0))
        self.scale.assign(feature_scale(variance, variance.mean()))

    def call(self, features: Any) -> Any:
        """Returns features (P, …, D) with mean 0 and deviation of about 1 over the training images."""
        return (features - ops.cast(self.mean, features.dtype)) * ops.cast(self.scale, features.dtype)
