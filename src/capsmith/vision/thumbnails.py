"""Small copies of images in their original aspect ratio, for reports and contact sheets."""

import numpy as np
from PIL import Image

from capsmith.core.errors import ImageError
from capsmith.vision.image_files import open_image, upright_size
from capsmith.vision.images import ImageSource, image_name, load_image


def thumbnail(source: ImageSource, side: int, enlarge: bool = False) -> Image.Image:
    """Returns an image as upright RGB, scaled down to fit into a square.

    Args:
        source: Any source that ``load_image`` accepts.
        side: Side of the square in pixels.
        enlarge: Also scale small images up to fill the square.

    Raises:
        ImageError: The image cannot be read.
    """
    width, height = _size(source) or (side, side)
    scale = side / max(width, height, 1)
    target = max(1, round(width * scale)), max(1, round(height * scale))
    if scale < 1:
        return Image.fromarray(load_image(source, (target[1], target[0])))
    full_size = Image.fromarray(load_image(source, (height, width)))
    return full_size.resize(target, Image.Resampling.LANCZOS) if enlarge else full_size


def _size(source: ImageSource) -> tuple[int, int] | None:
    """Returns width and height of the upright image; None if its header cannot be read."""
    if isinstance(source, np.ndarray):
        return (int(source.shape[1]), int(source.shape[0])) if source.ndim >= 2 else None
    if isinstance(source, Image.Image):
        return upright_size(source)
    try:
        with open_image(source, image_name(source)) as image:
            return upright_size(image)
    except ImageError:  # load_image raises it again
        return None
