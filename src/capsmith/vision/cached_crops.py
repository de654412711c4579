"""Random views of an image: a crop, every other one mirrored, so that a captioner with few images sees more.

A view is a function of the image's id and the view's number, so that its features can be extracted once, resumed and
shared like those of the image itself.
"""

import zlib
from dataclasses import dataclass

import numpy as np

SMALLEST = 0.75
"""A crop keeps at least this share of each side: less, and captions speak of what was cut away."""


@dataclass(frozen=True)
class View:
    """How an image is looked at.

    Attributes:
        mirrored: Left and right are exchanged; the box is then of the mirrored image.
        box: Left, top, right and bottom of what is kept, as shares of width and height.
    """

    mirrored: bool
    box: tuple[float, float, float, float]


def view_of(image_id: str, number: int) -> View | None:
    """Returns an image's view; number 0 is the image as it is (None), odd numbers are mirrored."""
    if number == 0:
        return None
    rng = np.random.default_rng((number, zlib.crc32(image_id.encode())))
    width, height = rng.uniform(SMALLEST, 1.0, size=2)
    left, top = rng.uniform(0.0, 1.0, size=2) * (1.0 - width, 1.0 - height)
    return View(is_mirrored(number), (left, top, left + width, top + height))


def is_mirrored(number: int) -> bool:
    """Returns whether the views of this number are mirrored."""
    return number % 2 == 1
