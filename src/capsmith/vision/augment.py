"""Images a little different every time they are shown: cropped, turned, mirrored, in other light."""

import math

import numpy as np
from PIL import Image, ImageEnhance
from pydantic import Field

from capsmith.core.schema import Settings


class AugmentConfig(Settings):
    """How training images vary while their encoder learns too; each is drawn anew whenever it is shown."""

    crop: float = Field(default=0.75, gt=0, le=1)
    """The smallest share of each side that a crop keeps; 1 crops nothing."""
    rotate: float = Field(default=5.0, ge=0, le=45)
    """Images are turned by at most so many degrees, and enlarged so that no corner is empty."""
    mirror: bool = True
    """Every other image is mirrored, and words such as left and right (training.flip_word_pairs) change places."""
    colour: float = Field(default=0.2, ge=0, lt=1)
    """Brightness, contrast and saturation each vary by as much: 0.2 is from 80 % to 120 %."""


def augmented(pixels: np.ndarray, how: AugmentConfig, rng: np.random.Generator, mirrored: bool) -> np.ndarray:
    """Returns one variant of an image.

    Args:
        pixels: (H, W, 3), uint8.
        how: What varies, and how much.
        rng: Draws it.
        mirrored: Whether left and right are exchanged.

    Returns:
        (H, W, 3), uint8.
    """
    image = Image.fromarray(pixels)
    sides, places = rng.uniform(how.crop, 1.0, 2), rng.uniform(0.0, 1.0, 2)
    angle = math.radians(rng.uniform(-how.rotate, how.rotate))
    light = rng.uniform(1 - how.colour, 1 + how.colour, 3)
    if how.crop < 1 or how.rotate or mirrored:
        matrix = _from_result(image.size, sides, places, angle, mirrored)
        image = image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    if how.colour:
        for enhance, factor in zip(
            (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color), light, strict=True
        ):
            image = enhance(image).enhance(float(factor))
    return np.array(image)


def _from_result(
    size: tuple[int, int], sides: np.ndarray, places: np.ndarray, angle: float, mirrored: bool
) -> tuple[float, float, float, float, float, float]:
    """Returns the affine map from a place in the result to one in the image.

    What is seen is a rectangle, turned, inside the crop's box: shrunk until its corners touch the box.
    """
    half = np.array(size) * sides / 2
    centre = half + places * (np.array(size) - 2 * half)
    cos, sin = math.cos(angle), math.sin(angle)
    reach = np.array([half[0] * cos + half[1] * abs(sin), half[0] * abs(sin) + half[1] * cos])
    half = half / (reach / half).max()
    scale = 2 * half / size
    across = -scale[0] if mirrored else scale[0]
    turn = np.array([[cos * across, -sin * scale[1]], [sin * across, cos * scale[1]]])
    offset = centre - turn @ (np.array(size) / 2)
    return turn[0, 0], turn[0, 1], offset[0], turn[1, 0], turn[1, 1], offset[1]
