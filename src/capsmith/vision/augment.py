"""Random variations of training images while their encoder is trained: crop, rotation, mirroring and colour."""

import math

import numpy as np
from PIL import Image, ImageEnhance
from pydantic import Field

from capsmith.core.schema import Settings


class AugmentConfig(Settings):
    """Random variation of training images while the encoder is trained; new variants are drawn in every epoch."""

    crop: float = Field(default=0.75, gt=0, le=1)
    """Smallest fraction of each side that a crop keeps; 1 disables cropping."""
    rotate: float = Field(default=5.0, ge=0, le=45)
    """Largest rotation in degrees, in both directions. The image is enlarged so that no corner is empty."""
    mirror: bool = True
    """Mirror every other image, and exchange words such as left and right (training.flip_word_pairs)."""
    colour: float = Field(default=0.2, ge=0, lt=1)
    """Range of brightness, contrast and saturation: 0.2 is from 80 % to 120 %; 0 disables it."""


def augment(pixels: np.ndarray, config: AugmentConfig, rng: np.random.Generator, mirrored: bool) -> np.ndarray:
    """Returns a random variant of an image.

    Args:
        pixels: (H, W, 3), uint8.
        config: The kinds and ranges of variation.
        rng: Random generator.
        mirrored: Whether to flip the image left to right.

    Returns:
        (H, W, 3), uint8.
    """
    image = Image.fromarray(pixels)
    sides, position = rng.uniform(config.crop, 1.0, 2), rng.uniform(0.0, 1.0, 2)
    angle = math.radians(rng.uniform(-config.rotate, config.rotate))
    factors = rng.uniform(1 - config.colour, 1 + config.colour, 3)
    if config.crop < 1 or config.rotate or mirrored:
        matrix = _affine_map(image.size, sides, position, angle, mirrored)
        image = image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    if config.colour:
        for enhance, factor in zip(
            (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color), factors, strict=True
        ):
            image = enhance(image).enhance(float(factor))
    return np.array(image)


def _affine_map(
    size: tuple[int, int], sides: np.ndarray, position: np.ndarray, angle: float, mirrored: bool
) -> tuple[float, float, float, float, float, float]:
    """Returns the affine map from coordinates of the result to coordinates of the image.

    The visible region is a rotated rectangle inside the crop box, shrunk until its corners touch the box.
    """
    half = np.array(size) * sides / 2
    centre = half + position * (np.array(size) - 2 * half)
    cos, sin = math.cos(angle), math.sin(angle)
    reach = np.array([half[0] * cos + half[1] * abs(sin), half[0] * abs(sin) + half[1] * cos])
    half = half / (reach / half).max()
    scale = 2 * half / size
    x_scale = -scale[0] if mirrored else scale[0]
    rotation = np.array([[cos * x_scale, -sin * scale[1]], [sin * x_scale, cos * scale[1]]])
    offset = centre - rotation @ (np.array(size) / 2)
    return rotation[0, 0], rotation[0, 1], offset[0], rotation[1, 0], rotation[1, 1], offset[1]
