"""Small copies of images, with their shape kept, for reports and contact sheets."""

import numpy as np
from PIL import Image

from capsmith.core.errors import ImageError
from capsmith.vision.image_files import open_image, upright_size
from capsmith.vision.images import Source, image_name, load_image


def thumbnail(source: Source, side: int, enlarge: bool = False) -> Image.Image:
    """Returns an image as upright RGB that fits into a square.

    Args:
        source: Whatever ``load_image`` takes.
        side: Side of the square in pixels.
        enlarge: Make small images fill the square too.

    Raises:
        ImageError: The image cannot be read.
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
    if isinstance(source, Image.Image):
        return upright_size(source)
    try:
        with open_image(source, image_name(source)) as image:
            return upright_size(image)
    except ImageError:  # load_image says so
        return None
