"""What a network proposes for one image, before class names are known."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from capsmith.vision.detection.detector import Detected, Detection

MOST = 300
"""Objects that are kept of one image, as in the evaluation of DETR-like models."""


class Candidates(NamedTuple):
    """Boxes with their scores and classes.

    Attributes:
        boxes: (N, 4) left, top, right, bottom.
        scores: (N,) confidence, 0 to 1.
        classes: (N,) indices of the classes' names.
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray


def corners(boxes: np.ndarray) -> np.ndarray:
    """Returns left, top, right and bottom (N, 4) of boxes given as centre x, centre y, width and height."""
    half = boxes[:, 2:4] / 2
    with np.errstate(invalid="ignore"):  # of infinite boxes, which are left out later
        return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)


def found(candidates: Candidates, labels: Sequence[str | None], width: int, height: int) -> Detected:
    """Returns candidates as objects of an image, most confident first.

    Left out are boxes that lie outside the image or hold NaN, and classes without a name.

    Args:
        candidates: With boxes in pixels of the image.
        labels: Names of the classes; None for classes that no object has.
        width: Width of the image in pixels.
        height: Its height.
    """
    boxes = np.clip(np.nan_to_num(candidates.boxes, nan=0.0), 0, [width, height, width, height])
    inside = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]) & np.isfinite(candidates.boxes).all(axis=1)
    order = [int(i) for i in np.argsort(-candidates.scores, kind="stable") if inside[i]]
    objects: list[Detection] = []
    for row in order:
        index = int(candidates.classes[row])
        label = labels[index] if 0 <= index < len(labels) else None
        if label is not None and len(objects) < MOST:
            left, top, right, bottom = (float(side) for side in boxes[row])
            objects.append(Detection(label, float(min(candidates.scores[row], 1.0)), (left, top, right, bottom)))
    return Detected(width, height, tuple(objects))
