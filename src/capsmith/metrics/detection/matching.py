"""Matches detections of one class in one image with annotated boxes, by the rules of COCO (Lin et al. 2014).

A detection is matched with the box that it overlaps most, among those that no more confident detection took. A crowd
is a region with many objects: it takes any number of detections, and they count neither as right nor as wrong. Objects
outside a range of sizes are treated in the same way.

D detections · G annotated boxes · T thresholds of overlap.
"""

from dataclasses import dataclass

import numpy as np

from capsmith.metrics.scores import Floats

THRESHOLDS: Floats = np.linspace(0.5, 0.95, 10)
"""The overlaps (intersection over union) from which a detection is right."""
MAX_DETECTIONS = 100
"""Detections of a class in an image that count: the most confident ones."""
_HIGHEST = 1 - 1e-10  # an overlap of 1 may be computed as slightly less


@dataclass(frozen=True)
class Truth:
    """The annotated objects of one image.

    Attributes:
        boxes: Left, top, width and height in pixels (G, 4).
        classes: The number of each object's class (G,).
        areas: Areas in square pixels (G,); COCO's are those of the outlines, which are smaller than the boxes.
        crowd: Whether a box is a region with many objects (G,).
    """

    boxes: Floats
    classes: np.ndarray
    areas: Floats
    crowd: np.ndarray

    def of_class(self, number: int) -> "Truth":
        """Returns the objects of one class."""
        rows = self.classes == number
        return Truth(self.boxes[rows], self.classes[rows], self.areas[rows], self.crowd[rows])


@dataclass(frozen=True)
class Found:
    """The detections in one image.

    Attributes:
        boxes: Left, top, width and height in pixels (D, 4).
        classes: The number of each detection's class (D,).
        scores: Confidences (D,).
    """

    boxes: Floats
    classes: np.ndarray
    scores: Floats

    def best_of_class(self, number: int) -> "Found":
        """Returns the detections of one class that count, most confident first; equal ones keep their order."""
        rows = np.flatnonzero(self.classes == number)
        rows = rows[np.argsort(-self.scores[rows], kind="stable")][:MAX_DETECTIONS]
        return Found(self.boxes[rows], self.classes[rows], self.scores[rows])


@dataclass(frozen=True)
class Matches:
    """Detections of one class in one image, most confident first, after matching.

    Attributes:
        scores: Confidences (D,).
        right: Whether a detection was matched (T, D).
        ignored: Whether it counts neither as right nor as wrong (T, D).
        objects: Number of boxes that are to be found.
    """

    scores: Floats
    right: np.ndarray
    ignored: np.ndarray
    objects: int


def overlaps(found: Floats, truth: Floats, crowd: np.ndarray) -> Floats:
    """Returns intersection over union; for a crowd, the share of the detection that lies in it.

    Args:
        found: Boxes (D, 4): left, top, width, height.
        truth: Boxes (G, 4).
        crowd: Whether a box of ``truth`` is a crowd (G,).

    Returns:
        Overlaps (D, G), 0 to 1.
    """
    one, other = found[:, None], truth[None]
    sides = np.minimum(one[..., :2] + one[..., 2:], other[..., :2] + other[..., 2:])
    sides = np.maximum(sides - np.maximum(one[..., :2], other[..., :2]), 0)
    shared = sides[..., 0] * sides[..., 1]
    area = (found[:, 2] * found[:, 3])[:, None]
    union = np.where(crowd, area, area + truth[:, 2] * truth[:, 3] - shared)
    result: Floats = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return result


def match(found: Found, truth: Truth, overlap: Floats, areas: tuple[float, float]) -> Matches:
    """Matches the detections of one class in one image at every threshold.

    Args:
        found: From ``best_of_class``.
        truth: The objects of the class.
        overlap: Their overlaps (D, G).
        areas: Smallest and largest area of the objects that count, in square pixels.
    """
    low, high = areas
    outside = (truth.areas < low) | (truth.areas > high)
    set_aside = truth.crowd | outside
    order = np.argsort(set_aside, kind="stable")  # objects that count take precedence, whatever the overlap
    overlap, aside, crowd = overlap[:, order], set_aside[order], truth.crowd[order]
    counting = int(np.count_nonzero(~aside))
    needed = np.minimum(THRESHOLDS, _HIGHEST)[:, None]
    right = np.zeros((len(THRESHOLDS), len(found.scores)), bool)
    ignored = right.copy()
    free = np.ones((len(THRESHOLDS), len(aside)), bool)
    every = np.arange(len(THRESHOLDS))
    for number in np.flatnonzero(overlap.max(axis=1, initial=0) >= THRESHOLDS[0]):
        possible = np.where(free & (overlap[number] >= needed), overlap[number], -1.0)
        best, taken = _last_highest(possible[:, :counting])
        others, taken_aside = _last_highest(possible[:, counting:])
        best = np.where(taken, best, counting + others)
        matched = taken | taken_aside
        rows, columns = every[matched], best[matched]
        right[rows, number], ignored[rows, number] = True, aside[columns]
        free[rows, columns] = crowd[columns]
    size = found.boxes[:, 2] * found.boxes[:, 3]
    ignored |= ~right & ((size < low) | (size > high))
    return Matches(found.scores, right, ignored, counting)


def _last_highest(values: Floats) -> tuple[np.ndarray, np.ndarray]:
    """Returns for each row (T, G) the position of its highest value, the last of equal ones, and whether it is ≥ 0."""
    if not values.shape[1]:
        return np.zeros(len(values), int), np.zeros(len(values), bool)
    best = values.shape[1] - 1 - np.argmax(values[:, ::-1], axis=1)
    return best, values[np.arange(len(values)), best] >= 0
