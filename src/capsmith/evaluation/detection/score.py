"""Scores what a detector found against annotations.

D detections of an image.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from capsmith.evaluation.detection.annotations import AnnotatedImage, Annotations
from capsmith.metrics.detection import SUMMARIES, DetectionScores, Found, average_precision
from capsmith.metrics.table import columns
from capsmith.vision.detection.detector import Detected


def score_detections(
    images: Sequence[tuple[AnnotatedImage, Detected]], annotations: Annotations, labels: Sequence[str], *signature: str
) -> DetectionScores:
    """Returns COCO's figures.

    Classes that the detector does not have count as never found, and classes that the file does not have are left out.

    Args:
        images: The annotated images, and what was found in them.
        annotations: The file.
        labels: The classes of the detector.
        *signature: More parts of the signature.
    """
    places = annotations.places(labels)
    ordered = sorted(images, key=lambda pair: pair[0].id)
    pairs = [(_found(detected, places), image.truth) for image, detected in ordered]
    return average_precision(pairs, annotations.labels, *signature)


def _found(detected: Detected, places: Mapping[str, int]) -> Found:
    kept = [one for one in detected.objects if one.label in places]
    corners = np.array([one.box for one in kept], np.float64).reshape(-1, 4)
    boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    return Found(boxes, np.array([places[one.label] for one in kept], np.int64), np.array([one.score for one in kept]))


def scores_table(scores: DetectionScores) -> str:
    """Returns the figures, those of each class with objects, and the signature as text."""
    rows = [["", "score"], *([SUMMARIES[name].title, _shown(value)] for name, value in scores.values.items())]
    lines = columns(rows)
    classes = [one for one in scores.classes if one.ap is not None]
    if len(classes) > 1:
        table = [["", "AP", "AP @.50", "objects"]]
        table += [[one.name, _shown(one.ap), _shown(one.ap50), f"{one.objects:,}"] for one in classes]
        lines += ["", *columns(table)]
    return "\n".join([*lines, "", scores.signature])


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
