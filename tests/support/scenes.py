"""Random images, for tests that need many different ones."""

import numpy as np
from PIL import Image


def scene(seed: int, size: tuple[int, int] = (96, 64)) -> Image.Image:
    """Returns a different smooth image for every seed."""
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC)
