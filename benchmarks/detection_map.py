"""Compares the average precision of detections with pycocotools on random cases.

    python -m benchmarks.detection_map [--cases 1000]

A case is a random data set: up to 12 images and 6 classes with crowds, objects of all sizes, detections that are the
objects moved a little, repeated and mistaken, equal confidences, boxes that overlap by exactly a threshold, classes
without objects or detections, images without either, and more than 100 detections. All twelve figures are compared,
and the average precision of every class.
"""

import argparse
import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from capsmith.metrics.detection import SUMMARIES, Found, Truth, average_precision

TOLERANCE = 1e-9
SIZES = (8, 24, 32, 60, 96, 150, 300)


def random_case(rng: np.random.Generator) -> tuple[int, list[tuple[Found, Truth]]]:
    """Returns the number of classes, and the detections and objects of each image."""
    classes = int(rng.integers(1, 7))
    return classes, [_random_image(rng, classes) for _ in range(rng.integers(1, 13))]


def _random_image(rng: np.random.Generator, classes: int) -> tuple[Found, Truth]:
    count = int(rng.integers(0, 9))
    boxes = np.concatenate([rng.integers(0, 300, (count, 2)), rng.choice(SIZES, (count, 2))], axis=1).astype(float)
    if rng.random() < 0.3:
        boxes += rng.random(boxes.shape)
    beside = boxes[: rng.integers(0, 3)]  # pairs that a detection between them overlaps equally
    boxes = np.concatenate([boxes, beside + [8, 0, 0, 0]])
    between = beside + [4, 0, 0, 0]
    count = len(boxes)
    full = boxes[:, 2] * boxes[:, 3]
    areas = np.where(rng.random(count) < 0.5, full, full * rng.random(count))
    kinds = rng.integers(0, classes, count)
    truth = Truth(boxes, kinds, areas, rng.random(count) < 0.2)
    copies = rng.integers(0, max(count, 1), int(rng.integers(0, 4 * count + 1)) if count else 0)
    if count and rng.random() < 0.03:
        copies = rng.integers(0, count, 160)
    moved = boxes[copies] + np.round(rng.normal(0, rng.choice([0.0, 2.0, 12.0]), (len(copies), 4)))
    moved[:, 2:] = np.maximum(moved[:, 2:], 1)
    halves = rng.random(len(moved)) < 0.15  # the overlap with the object is then 0.5, 0.75 …
    moved[halves] = boxes[copies][halves]
    moved[halves, 2] *= rng.choice([0.5, 0.55, 0.75, 0.9, 0.95], halves.sum())
    wrong = np.concatenate([rng.integers(0, 300, (3, 2)), rng.choice(SIZES, (3, 2))], axis=1).astype(float)
    wrong = wrong[: rng.integers(0, 4)]
    found = np.concatenate([moved, between, wrong])
    labels = np.concatenate([kinds[copies], kinds[: len(between)], rng.integers(0, classes, len(wrong))]).astype(int)
    kinds[count - len(between) :] = kinds[: len(between)]
    mistaken = rng.random(len(labels)) < 0.1
    labels[mistaken] = rng.integers(0, classes, mistaken.sum())
    scores = rng.random(len(found))
    if rng.random() < 0.4:
        scores = np.round(scores, 1)  # many are equal
    return Found(found, labels, scores), truth


def reference(classes: int, images: list[tuple[Found, Truth]]) -> tuple[list[float | None], list[float | None]]:
    """Returns the twelve figures and the average precision of each class by pycocotools; None where it says -1."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    data: dict[str, list[dict[str, Any]]] = {
        "images": [{"id": number} for number in range(len(images))],
        "categories": [{"id": number, "name": str(number)} for number in range(classes)],
        "annotations": [],
    }
    results = []
    for image, (found, truth) in enumerate(images):
        for box, kind, area, crowd in zip(truth.boxes, truth.classes, truth.areas, truth.crowd, strict=True):
            row = {"id": len(data["annotations"]) + 1, "image_id": image, "category_id": int(kind)}  # 0 means: none
            data["annotations"].append(row | {"bbox": box.tolist(), "area": float(area), "iscrowd": int(crowd)})
        for box, kind, score in zip(found.boxes, found.classes, found.scores, strict=True):
            row = {"image_id": image, "category_id": int(kind), "bbox": box.tolist()}
            results.append(row | {"score": float(score)})
    with contextlib.redirect_stdout(io.StringIO()):
        truth_set = COCO()
        truth_set.dataset = data
        truth_set.createIndex()
        found_set = truth_set.loadRes(results) if results else COCO()
        evaluation = COCOeval(truth_set, found_set, "bbox")
        evaluation.params.imgIds = list(range(len(images)))
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    each = [evaluation.eval["precision"][:, :, number, 0, -1] for number in range(classes)]
    return [_known(value) for value in evaluation.stats], [_known(values.mean()) for values in each]


def _known(value: float) -> float | None:
    return None if value < 0 else float(value)


def difference(classes: int, images: list[tuple[Found, Truth]]) -> float:
    """Returns the largest difference from pycocotools; infinite if only one of both has a figure."""
    scores = average_precision(images, [str(number) for number in range(classes)])
    summary, each = reference(classes, images)
    pairs = [*zip((scores.values[name] for name in SUMMARIES), summary, strict=True)]
    pairs += zip((one.ap for one in scores.classes), each, strict=True)
    largest = 0.0
    for ours, theirs in pairs:
        if (ours is None) != (theirs is None):
            return float("inf")
        largest = max(largest, abs((ours or 0) - (theirs or 0)))
    return largest


def main() -> int:
    """Prints the number of disagreements; returns 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the figure as JSON")
    args = parser.parse_args()
    worst, disagreements = 0.0, 0
    for number in range(args.cases):
        value = difference(*random_case(np.random.default_rng((args.seed, number))))
        worst = max(worst, value)
        if value > TOLERANCE:
            disagreements += 1
            print(f"case {number}: differs by {value:.3g}")
    print(f"{args.cases:,} cases: {disagreements} disagreements, largest difference {worst:.2g}")
    if args.write:
        command = f"python -m benchmarks.detection_map --cases {args.cases}"
        note = f"of {args.cases:,} random data sets, those with a COCO figure that differs from pycocotools by > 1e-9"
        figure = {"value": disagreements, "unit": "", "command": command, "note": note}
        args.write.write_text(json.dumps({"detect.map_disagreements": figure}, indent=2) + "\n", encoding="utf-8")
    return int(disagreements > 0)


if __name__ == "__main__":
    sys.exit(main())
