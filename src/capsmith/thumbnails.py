"""Small copies of pictures, with their shape kept, for reports and contact sheets."""

import contextlib
import warnings
from io import BytesIO

import numpy as np
from PIL import Image

from capsmith.features.images import Source, load_image

_ORIENTATION = 0x0112


def thumbnail(source: Source, side: int, enlarge: bool = False) -> Image.Image:
    """Returns a picture as upright RGB that fits into a square.

    Args:
        source: Whatever ``load_image`` takes.
        side: Side of the square in pixels.
        enlarge: Make small pictures fill the square too.

    Raises:
        PictureError: The picture cannot be read.
    """
    width, height = _shape(source) or (side, side)
    scale = side / max(width, height, 1)
    wanted = max(1, round(width * scale)), max(1, round(height * scale))
    if scale < 1:
        return Image.fromarray(load_image(source, (wanted[1], wanted[0])))
    whole = Image.fromarray(load_image(source, (height, width)))
    return whole.resize(wanted, Image.Resampling.LANCZOS) if enlarge else whole


def _shape(source: Source) -> tuple[int, int] | None:
    """Returns width and height as seen upright; None where the header cannot be read."""
    if isinstance(source, np.ndarray):
        return (int(source.shape[1]), int(source.shape[0])) if source.ndim >= 2 else None
    with contextlib.suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's warning of large pictures; load_image has its own limit
        if isinstance(source, Image.Image):
            return _upright(source)
        with Image.open(BytesIO(source) if isinstance(source, bytes) else source) as image:
            return _upright(image)
    return None


def _upright(image: Image.Image) -> tuple[int, int]:
    turned = False
    with contextlib.suppress(Exception):  # a damaged EXIF block says nothing about the pixels
        turned = image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
    return (image.height, image.width) if turned else image.size
