"""COCO's summary of detections: average precision and average recall (Lin et al. 2014; the rules of pycocotools).

Average precision is the mean of the precision at 101 levels of recall, where the precision at a level is the best at
this recall or a higher one. Classes without an object that counts are left out of means.

A ranges of area · C classes · T thresholds of overlap.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from capsmith import __version__
from capsmith.metrics.detection.matching import MAX_DETECTIONS, THRESHOLDS, Found, Matches, Truth, match, overlaps
from capsmith.metrics.scores import Floats

AREAS = {"all": (0.0, 1e10), "small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
"""Ranges of the area of objects in square pixels."""
RECALLS: Floats = np.linspace(0, 1, 101)
"""Levels of recall at which precision is read."""


class Summary(NamedTuple):
    """One of COCO's twelve figures.

    Attributes:
        title: Its name for people.
        recall: Whether it is a recall.
        area: The range of areas.
        threshold: The overlap; None: the mean over all ten.
        limit: Detections of a class in an image that count.
    """

    title: str
    recall: bool = False
    area: str = "all"
    threshold: float | None = None
    limit: int = MAX_DETECTIONS


SUMMARIES = {
    "ap": Summary("AP @[.50:.95]"),
    "ap50": Summary("AP @.50", threshold=0.5),
    "ap75": Summary("AP @.75", threshold=0.75),
    "ap_small": Summary("AP small", area="small"),
    "ap_medium": Summary("AP medium", area="medium"),
    "ap_large": Summary("AP large", area="large"),
    "ar1": Summary("AR, 1 detection", recall=True, limit=1),
    "ar10": Summary("AR, 10 detections", recall=True, limit=10),
    "ar100": Summary("AR, 100 detections", recall=True),
    "ar_small": Summary("AR small", recall=True, area="small"),
    "ar_medium": Summary("AR medium", recall=True, area="medium"),
    "ar_large": Summary("AR large", recall=True, area="large"),
}
"""COCO's figures, in its order."""


class ClassScore(NamedTuple):
    """The scores of one class.

    Attributes:
        name: The class.
        objects: Annotated objects, without crowds.
        ap: Average precision over all thresholds of overlap; None without an object.
        ap50: The same at an overlap of 0.5.
    """

    name: str
    objects: int
    ap: float | None
    ap50: float | None


@dataclass(frozen=True)
class DetectionScores:
    """The scores of the detections in N images.

    Attributes:
        values: The figures by the names of ``SUMMARIES``, 0 to 1; None where no object counts.
        classes: The scores of each class.
        images: N.
        signature: How they were computed.
    """

    values: Mapping[str, float | None]
    classes: tuple[ClassScore, ...]
    images: int
    signature: str


def average_precision(
    images: Sequence[tuple[Found, Truth]], classes: Sequence[str], *signature: str
) -> DetectionScores:
    """Scores detections.

    Args:
        images: For each image its detections and its annotated objects, in the order of the images' ids: where
            detections in several images are equally confident, the first image comes first.
        classes: The names of the classes, by their numbers.
        *signature: More ``key:value`` parts of the signature.
    """
    precision = {area: np.full((len(classes), len(THRESHOLDS)), np.nan) for area in AREAS}
    limits = {area: sorted({one.limit for one in SUMMARIES.values() if one.area == area}) for area in AREAS}
    recall = {(area, limit): precision[area].copy() for area in AREAS for limit in limits[area]}
    objects = np.zeros(len(classes), int)
    for number, pairs in _by_class(images).items():
        shared = [overlaps(found.boxes, truth.boxes, truth.crowd) for found, truth in pairs]
        for area, bounds in AREAS.items():
            matched = [match(*pair, overlap, bounds) for pair, overlap in zip(pairs, shared, strict=True)]
            total = sum(one.objects for one in matched)
            objects[number] = total if area == "all" else objects[number]
            for limit in limits[area] if total else ():
                curves = _curves(matched, total, limit)
                recall[area, limit][number] = curves[1]
                if limit == MAX_DETECTIONS:
                    precision[area][number] = curves[0]
    values = {name: _mean(one, precision, recall) for name, one in SUMMARIES.items()}
    rows = zip(classes, objects.tolist(), precision["all"], strict=True)
    each = tuple(ClassScore(name, count, _finite(row.mean()), _finite(row[0])) for name, count, row in rows)
    parts = ["coco_ap", "iou:.50:.05:.95", f"max:{MAX_DETECTIONS}", *signature, f"n:{len(images)}"]
    return DetectionScores(values, each, len(images), "|".join([*parts, f"capsmith:{__version__}"]))


def _by_class(images: Sequence[tuple[Found, Truth]]) -> dict[int, list[tuple[Found, Truth]]]:
    """Returns for each class the images that have it, with its detections and objects."""
    result: dict[int, list[tuple[Found, Truth]]] = {}
    for found, truth in images:
        for number in np.union1d(found.classes, truth.classes).astype(int).tolist():
            result.setdefault(number, []).append((found.best_of_class(number), truth.of_class(number)))
    return result


def _curves(matched: Sequence[Matches], total: int, limit: int) -> tuple[Floats, Floats]:
    """Returns average precision and the highest recall of one class at each threshold, (T,) each."""
    scores = np.concatenate([one.scores[:limit] for one in matched])
    order = np.argsort(-scores, kind="stable")
    right = np.concatenate([one.right[:, :limit] for one in matched], axis=1)[:, order]
    ignored = np.concatenate([one.ignored[:, :limit] for one in matched], axis=1)[:, order]
    if not len(order):
        return np.zeros(len(THRESHOLDS)), np.zeros(len(THRESHOLDS))
    hits = np.cumsum(right & ~ignored, axis=1).astype(np.float64)
    misses = np.cumsum(~right & ~ignored, axis=1)
    recall = hits / total
    precision = hits / (hits + misses + np.spacing(1))
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]  # at this recall or a higher one
    padded = np.concatenate([best, np.zeros((len(best), 1))], axis=1)
    read = [row[np.searchsorted(levels, RECALLS)].mean() for row, levels in zip(padded, recall, strict=True)]
    return np.array(read), recall[:, -1]


def _mean(one: Summary, precision: Mapping[str, Floats], recall: Mapping[tuple[str, int], Floats]) -> float | None:
    values = recall[one.area, one.limit] if one.recall else precision[one.area]
    if one.threshold is not None:
        values = values[:, np.isclose(THRESHOLDS, one.threshold)]
    kept = values[~np.isnan(values)]
    return float(kept.mean()) if kept.size else None


def _finite(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
