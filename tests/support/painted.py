"""Painted images, and a detector of their rectangles whose confidence depends on the class."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from capsmith.vision.detection.detector import Detected, Detection
from capsmith.vision.images import ImageSource, load_upright

COLOURS = {"person": (255, 0, 0), "dog": (0, 255, 0), "car": (0, 0, 255)}
"""The colour of each class."""


def painted(objects: Sequence[tuple[str, tuple[int, int, int, int]]], size: tuple[int, int] = (120, 80)) -> Image.Image:
    """Returns a grey image with a rectangle for each class: left, top, right, bottom."""
    image = Image.new("RGB", size, (90, 90, 90))
    for label, box in objects:
        image.paste(COLOURS[label], box)
    return image


class PaintedDetector:
    """Finds one rectangle of each colour; the confidence is 0.9 for a person, 0.6 for a dog and 0.3 for a car."""

    name = "toy"
    fingerprint = "toy"
    labels: Sequence[str] = tuple(COLOURS)

    def __init__(self, threshold: float | None = None) -> None:
        self.threshold = 0.5 if threshold is None else threshold

    def detect(self, image: ImageSource, threshold: float | None = None) -> Detected:
        """Returns the bounding box of the pixels of each colour; see ``Detector``."""
        pixels = np.asarray(load_upright(image))
        objects = []
        for score, (label, colour) in zip((0.9, 0.6, 0.3), COLOURS.items(), strict=True):
            rows, columns = np.nonzero((pixels == colour).all(axis=2))
            if len(rows) and score >= (self.threshold if threshold is None else threshold):
                box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
                objects.append(Detection(label, score, tuple(float(side) for side in box)))  # type: ignore[arg-type]
        return Detected(pixels.shape[1], pixels.shape[0], tuple(objects))
