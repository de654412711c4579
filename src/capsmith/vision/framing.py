"""How an image of any aspect ratio is brought to the size that a network takes."""

from typing import Literal

Framing = Literal["stretch", "centre"]
"""``stretch`` resizes height and width independently, as the encoders here were trained. ``centre`` resizes the shorter
side and keeps the centre, as CLIP was trained."""

Box = tuple[float, float, float, float]


def centre_box(image: tuple[int, int], target: tuple[int, int]) -> Box:
    """Returns the region of an image that ``centre`` keeps: left, top, right and bottom, in pixels of the image.

    Resizing this region to the target gives the same pixels as the protocol of CLIP: the image is resized until the
    target just fits into it, with the longer side rounded down to whole pixels, and its centre is cut out.

    Args:
        image: Width and height of the image.
        target: Width and height wanted.
    """
    width, height = image
    if width * target[1] >= height * target[0]:
        resized = (target[1] * width // height, target[1])
    else:
        resized = (target[0], target[0] * height // width)
    left, right = _middle(resized[0], target[0], width)
    top, bottom = _middle(resized[1], target[1], height)
    return left, top, right, bottom


def _middle(resized: int, target: int, original: int) -> tuple[float, float]:
    start = round((resized - target) / 2)  # rounds halves to even, as torchvision's CenterCrop
    scale = original / resized
    return start * scale, min((start + target) * scale, float(original))
