"""Random crops of training images whose features are extracted once and cached (``training.cached_crops``).

A crop is a function of the image's id and the crop's number. Its features can therefore be resumed and shared like
those of the complete image.
"""

import zlib
from dataclasses import dataclass

import numpy as np

MIN_SIDE = 0.75
"""Smallest fraction of each side that a crop keeps. With smaller crops, captions describe what was cut off."""


@dataclass(frozen=True)
class Crop:
    """A region of an image.

    Attributes:
        mirrored: Whether the image is flipped left to right. The box then refers to the flipped image.
        box: Left, top, right and bottom edge, as fractions of width and height.
    """

    mirrored: bool
    box: tuple[float, float, float, float]


def crop_of(image_id: str, number: int) -> Crop | None:
    """Returns an image's crop of a number: None (the complete image) for 0; odd numbers are mirrored."""
    if number == 0:
        return None
    rng = np.random.default_rng((number, zlib.crc32(image_id.encode())))
    width, height = rng.uniform(MIN_SIDE, 1.0, size=2)
    left, top = rng.uniform(0.0, 1.0, size=2) * (1.0 - width, 1.0 - height)
    return Crop(is_mirrored(number), (left, top, left + width, top + height))


def is_mirrored(number: int) -> bool:
    """Returns whether the crops of a number are mirrored."""
    return number % 2 == 1
