"""How an image becomes a network's input, and how boxes come back: letterboxed or stretched, scaled, RGB or BGR."""

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Channel means and standard deviations of ImageNet, of pixels in 0–1."""


class Window(NamedTuple):
    """Where the image lies in the input: pixels of the input are pixels of the image times a factor plus an offset.

    Attributes:
        across: Factor of horizontal positions.
        down: Factor of vertical positions.
        left: Offset of horizontal positions, in pixels of the input.
        top: Offset of vertical positions.
    """

    across: float
    down: float
    left: float
    top: float

    def undone(self, boxes: np.ndarray) -> np.ndarray:
        """Returns boxes (N, 4) of the input as boxes of the image, both in pixels."""
        offset, factor = (self.left, self.top) * 2, (self.across, self.down) * 2
        return (np.asarray(boxes, np.float64) - offset) / factor


@dataclass(frozen=True)
class Preparation:
    """How images are prepared.

    Attributes:
        fit: ``letterbox`` keeps the aspect ratio and fills up; ``stretch`` does not keep it.
        corner: Whether a letterboxed image lies in the top left corner instead of the centre.
        most: Largest side of a letterboxed image in pixels, where bars stand on all sides; None for the input's.
        fill: Value of the bars, 0–255.
        bgr: Whether blue comes first.
        scale: Factor of pixels 0–255, applied first.
        mean: What is subtracted from each channel of the input, in the order of the channels.
        std: What each channel is divided by, afterwards.
    """

    fit: Literal["letterbox", "stretch"] = "letterbox"
    corner: bool = False
    most: int | None = None
    fill: int = 114
    bgr: bool = False
    scale: float = 1 / 255
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)

    @property
    def unscaled(self) -> "Preparation":
        """The same for a network that scales pixels itself."""
        return replace(self, scale=1.0, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))

    def prepared(self, image: Image.Image, size: tuple[int, int]) -> tuple[np.ndarray, Window]:
        """Returns an upright RGB image as an input (1, 3, H, W), float32, and where it lies in it.

        Args:
            image: The image.
            size: Height and width of the input.
        """
        pixels, window = self._framed(image, size)
        channels = pixels[:, :, ::-1] if self.bgr else pixels
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        values = (channels.astype(np.float32) * np.float32(self.scale) - mean) / std
        return np.ascontiguousarray(values.transpose(2, 0, 1)[None], dtype=np.float32), window

    def _framed(self, image: Image.Image, size: tuple[int, int]) -> tuple[np.ndarray, Window]:
        height, width = size
        if self.fit == "stretch":
            resized = image.resize((width, height), Image.Resampling.BILINEAR)
            return np.asarray(resized), Window(width / image.width, height / image.height, 0, 0)
        limits = (height, width) if self.most is None else (min(height, self.most), min(width, self.most))
        ratio = min(limits[0] / image.height, limits[1] / image.width)
        inner = max(1, round(image.width * ratio)), max(1, round(image.height * ratio))
        resized = image if inner == image.size else image.resize(inner, Image.Resampling.BILINEAR)
        left, top = (0, 0) if self.corner else ((width - inner[0]) // 2, (height - inner[1]) // 2)
        canvas = np.full((height, width, 3), self.fill, np.uint8)
        canvas[top : top + inner[1], left : left + inner[0]] = np.asarray(resized)
        return canvas, Window(inner[0] / image.width, inner[1] / image.height, left, top)
