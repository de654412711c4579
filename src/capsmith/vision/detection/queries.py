"""Predictions of DETR-like models: each query gives one box and a score for each class, and no suppression is needed.

DETR and YOLOS end in a softmax whose last class means "no object"; a query's best class counts (Carion et al. 2020).
Deformable DETR, RT-DETR, D-FINE, RF-DETR and their relatives give each class a sigmoid of its own, and the best pairs
of query and class count, as many as there are queries (Zhu et al. 2021). Q queries · C columns of the logits.
"""

from collections.abc import Sequence

import numpy as np

from capsmith.vision.detection.candidates import Candidates, corners


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
        columns: The columns that stand for a class. None: all, without the last one of a softmax. Other columns
            take part in a softmax and win nothing.

    Returns:
        Candidates whose boxes are fractions as well, and whose classes are columns. Queries that hold NaN or infinity
        are left out.
    """
    logits, boxes = np.asarray(logits, np.float64), np.asarray(boxes, np.float64)
    finite = np.isfinite(logits).all(axis=1) & np.isfinite(boxes).all(axis=1)
    logits, boxes = logits[finite], boxes[finite]
    scores = _softmax(logits) if softmax else _sigmoid(logits)
    if columns is None:
        columns = range(scores.shape[1] - 1 if softmax else scores.shape[1])
    scores = scores[:, list(columns)]
    if not scores.size:
        return Candidates(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64))
    if softmax:
        queries, classes = np.arange(len(scores)), scores.argmax(axis=1)
    else:
        best = np.argsort(-scores, axis=None, kind="stable")[: len(logits)]
        queries, classes = np.unravel_index(best, scores.shape)
    found = scores[queries, classes]
    order = np.argsort(-found, kind="stable")
    order = order[found[order] > threshold]
    return Candidates(corners(boxes[queries[order]]), found[order], np.asarray(columns, np.int64)[classes[order]])


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return np.asarray(0.5 + 0.5 * np.tanh(logits / 2))  # without overflow


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True)) if logits.size else logits
    return np.asarray(powers / powers.sum(axis=1, keepdims=True)) if logits.size else logits
