"""Suppression of boxes that overlap a more confident box of the same class (non-maximum suppression)."""

import numpy as np

_AT_MOST = 30_000
"""Boxes that take part, the most confident ones: the time grows with boxes times kept boxes."""


def suppress(boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray, overlap: float, keep: int = 300) -> np.ndarray:
    """Returns the rows that remain, most confident first.

    Args:
        boxes: (N, 4) left, top, right, bottom.
        scores: (N,) confidence; of equal ones, the first row wins.
        classes: (N,) boxes of different classes do not suppress each other.
        overlap: A box is suppressed if its intersection over union with a kept one exceeds this.
        keep: At most so many rows.
    """
    order = np.argsort(-scores, kind="stable")[:_AT_MOST]
    kept: list[int] = []
    areas = _areas(boxes)
    while len(order) and len(kept) < keep:
        best, order = order[0], order[1:]
        kept.append(int(best))
        inner = _intersections(boxes[best], boxes[order])
        union = areas[best] + areas[order] - inner
        same = classes[order] == classes[best]
        order = order[~(same & (inner > overlap * union))]
    return np.array(kept, np.int64)


def _areas(boxes: np.ndarray) -> np.ndarray:
    return np.asarray(np.clip(boxes[:, 2] - boxes[:, 0], 0, None) * np.clip(boxes[:, 3] - boxes[:, 1], 0, None))


def _intersections(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    width = np.minimum(box[2], boxes[:, 2]) - np.maximum(box[0], boxes[:, 0])
    height = np.minimum(box[3], boxes[:, 3]) - np.maximum(box[1], boxes[:, 1])
    return np.asarray(np.clip(width, 0, None) * np.clip(height, 0, None))
