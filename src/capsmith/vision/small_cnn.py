"""A small CNN for training end to end on small images, in minutes on a CPU."""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

CHANNELS = (16, 48, 96, 128, 128)
"""Channels of the five blocks. The first four halve the image: 96 × 96 pixels become a grid of 6 × 6."""


def small_cnn(size: tuple[int, int]) -> keras.Model:
    """Builds the network: five blocks of 3 × 3 convolution, batch norm, ReLU.

    The last block also receives the coordinates of each cell (Liu et al. 2018, "CoordConv"): its channels can then
    encode "something red on the left", which survives pooling. The running statistics of batch norm adapt within tens
    of batches, because short training has only a few hundred.

    Args:
        size: Height and width of the images in pixels.

    Returns:
        A model from pixels in [-1, 1] (B, H, W, 3) to (B, ceil(H / 16), ceil(W / 16), 128).
    """
    pixels = keras.Input((*size, 3))
    x = pixels
    for number, channels in enumerate(CHANNELS, start=1):
        last = number == len(CHANNELS)
        if last:
            x = layers.Concatenate(name="with_places")([x, Places(name="places")(x)])
        convolution = layers.Conv2D(
            channels, 3, strides=1 if last else 2, padding="same", use_bias=False, name=f"block{number}_conv"
        )
        x = layers.BatchNormalization(momentum=0.9, name=f"block{number}_norm")(convolution(x))
        x = layers.ReLU(name=f"block{number}_out")(x)
    return keras.Model(pixels, x, name="small_cnn")


@keras.saving.register_keras_serializable("capsmith")
class Places(layers.Layer):
    """The coordinates of each cell of (B, H, W, C): x and y from -1 (left, top) to 1 (right, bottom), (B, H, W, 2)."""

    def call(self, grid: Any) -> Any:
        """Returns the coordinates, which are the same for every image."""
        _, height, width, _ = grid.shape
        y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
        places = ops.convert_to_tensor(np.stack([x, y], axis=-1)[None], grid.dtype)
        return ops.tile(places, (ops.shape(grid)[0], 1, 1, 1))
