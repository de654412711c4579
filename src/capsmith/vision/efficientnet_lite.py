"""EfficientNet-Lite2: EfficientNet for small machines, without squeeze-and-excitation and with ReLU6 activations.

Source: Tan and Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", and the Lite
variants that Google published in 2020. ``keras.applications`` does not contain them.
"""

from typing import Any

import keras
from keras import layers

_STEM, _HEAD = 32, 1280
_STAGES = (  # kernel, stride, expansion, channels, blocks
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 3),
    (5, 2, 6, 48, 3),
    (3, 2, 6, 88, 4),
    (5, 1, 6, 120, 4),
    (5, 2, 6, 208, 5),
    (3, 1, 6, 352, 1),
)


def efficientnet_lite2(size: tuple[int, int]) -> keras.Model:
    """Builds the network without its classifier.

    Args:
        size: Height and width of the images in pixels.

    Returns:
        A model from pixels scaled by (x − 127) / 128, (B, H, W, 3), to a grid (B, ⌈H/32⌉, ⌈W/32⌉, 1280).
    """
    image = keras.Input((*size, 3), name="image")
    grid = _activated(layers.Conv2D(_STEM, 3, 2, "same", use_bias=False, name="stem_conv")(image), "stem")
    for stage, (kernel, stride, expansion, channels, blocks) in enumerate(_STAGES, start=1):
        for block in range(1, blocks + 1):
            name = f"stage{stage}_block{block}"
            grid = _block(grid, name, kernel, stride if block == 1 else 1, expansion, channels)
    grid = _activated(layers.Conv2D(_HEAD, 1, use_bias=False, name="head_conv")(grid), "head")
    return keras.Model(image, grid, name="efficientnet_lite2")


def _block(grid: Any, name: str, kernel: int, stride: int, expansion: int, channels: int) -> Any:
    """Returns an inverted bottleneck: expand, depthwise convolution, project, and a shortcut where shapes allow it."""
    start = grid
    if expansion > 1:
        width = grid.shape[-1] * expansion
        grid = _activated(layers.Conv2D(width, 1, use_bias=False, name=f"{name}_expand_conv")(grid), f"{name}_expand")
    depthwise = layers.DepthwiseConv2D(kernel, stride, "same", use_bias=False, name=f"{name}_depthwise_conv")
    grid = _activated(depthwise(grid), f"{name}_depthwise")
    grid = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_project_conv")(grid)
    grid = layers.BatchNormalization(epsilon=1e-3, name=f"{name}_project_norm")(grid)
    if stride == 1 and start.shape[-1] == channels:
        grid = layers.Add(name=f"{name}_add")([start, grid])
    return grid


def _activated(grid: Any, name: str) -> Any:
    grid = layers.BatchNormalization(epsilon=1e-3, name=f"{name}_norm")(grid)
    return layers.ReLU(6.0, name=f"{name}_relu6")(grid)
