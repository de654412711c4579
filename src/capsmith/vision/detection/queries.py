"""Predictions of DETR-like models: each query gives one box and a score for each class, and no suppression is needed.

DETR and YOLOS end in a softmax whose last class means "no object"; a query's best class counts (Carion et al. 2020).
Deformable DETR, RT-DETR, D-FINE, RF-DETR and their relatives give each class a sigmoid of its own, and the best pairs
of query and class count, as many as there are queries (Zhu et al. 2021). Q queries · C columns of the logits.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Candidates(NamedTuple):
    """What a model proposes for one image, most confident first.

    Attributes:
        boxes: (N, 4) left, top, right, bottom.
        scores: (N,) confidence, 0 to 1.
        classes: (N,) indices of the classes' names.
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray


def decode_queries(
    logits: np.ndarray,
    boxes: np.ndarray,
    threshold: float,
    softmax: bool = False,
    columns: Sequence[int] | None = None,
) -> Candidates:
    """Returns the candidates above a threshold.

    Args:
        logits: (Q, C) unnormalized scores.
        boxes: (Q, 4) centre x, centre y, width and height as fractions of the model's input.
        threshold: Scores must exceed it.
        softmax: Whether scores are a softmax over all columns, of which a query's best one counts.
        columns: The columns that are classes, in the order of their names. None: all, without the last one of a
            softmax. Other columns take part in a softmax and win nothing.

    Returns:
        Candidates whose boxes are fractions as well. Queries that hold NaN or infinity are left out.
    """
    logits, boxes = np.asarray(logits, np.float64), np.asarray(boxes, np.float64)
    finite = np.isfinite(logits).all(axis=1) & np.isfinite(boxes).all(axis=1)
    logits, boxes = logits[finite], boxes[finite]
    scores = _softmax(logits) if softmax else _sigmoid(logits)
    if columns is not None:
        scores = scores[:, list(columns)]
    elif softmax:
        scores = scores[:, :-1]
    if not scores.size:
        return Candidates(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64))
    if softmax:
        queries, classes = np.arange(len(scores)), scores.argmax(axis=1)
    else:
        best = np.argsort(-scores, axis=None, kind="stable")[: len(finite)]
        queries, classes = np.unravel_index(best, scores.shape)
    found = scores[queries, classes]
    order = np.argsort(-found, kind="stable")
    order = order[found[order] > threshold]
    return Candidates(corners(boxes[queries[order]]), found[order], classes[order].astype(np.int64))


def corners(boxes: np.ndarray) -> np.ndarray:
    """Returns left, top, right and bottom (N, 4) of boxes given as centre x, centre y, width and height."""
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return np.asarray(0.5 + 0.5 * np.tanh(logits / 2))  # without overflow


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True)) if logits.size else logits
    return np.asarray(powers / powers.sum(axis=1, keepdims=True)) if logits.size else logits
