"""Compares the suppression of boxes with a plain reference on pycocotools' intersection over union.

    python -m benchmarks.detection_nms [--cases 1000] [--write FILE]

The reference goes through the boxes by falling confidence and keeps a box unless a kept one of its class overlaps it by
more than the limit: the definition, in two loops. Boxes are random, some equal, touching, within each other or of no
size, and some scores are equal. Prints the number of cases whose kept boxes differ, the figure
`detect.nms_disagreements`.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from capsmith.vision.detection.nms import suppress

LIMITS = (0.0, 0.3, 0.45, 0.5, 0.6, 0.7, 1.0)


def random_case(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Returns boxes, scores, classes and a limit."""
    count = int(random.integers(0, 60))
    whole = bool(random.integers(0, 2))  # whole numbers: overlaps that equal a limit, and equal boxes
    corners = random.uniform(0, 40, (count, 2)), random.uniform(0, 30, (count, 2))
    left, sides = (np.round(part / 4) * 2 if whole else part for part in corners)
    boxes = np.concatenate([left, left + sides], axis=1)
    if count > 4:
        boxes[1], boxes[3, 2:] = boxes[0], boxes[3, :2]  # equal, and of no size
    scores = np.round(random.uniform(0, 1, count), int(random.integers(1, 6)))
    return boxes, scores, random.integers(0, 4, count), float(random.choice(LIMITS))


def kept_by_definition(boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray, limit: float) -> list[int]:
    """Returns the rows that remain, most confident first, by pycocotools' overlaps."""
    from pycocotools import mask

    sizes = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    overlaps = mask.iou(sizes, sizes, np.zeros(len(boxes), np.uint8)) if len(boxes) else np.zeros((0, 0))
    kept: list[int] = []
    for row in sorted(range(len(boxes)), key=lambda row: (-scores[row], row)):
        same = [other for other in kept if classes[other] == classes[row]]
        if not any(overlaps[row, other] > limit for other in same):
            kept.append(row)
    return kept


def disagreements(cases: int) -> int:
    """Returns in how many of so many random cases other boxes are kept."""
    random = np.random.default_rng(0)
    differ = 0
    for _ in range(cases):
        boxes, scores, classes, limit = random_case(random)
        kept = suppress(boxes, scores, classes, limit, keep=len(boxes))
        differ += kept.tolist() != kept_by_definition(boxes, scores, classes, limit)
    return differ


def main() -> None:
    """Compares random cases and prints the result as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the figures as JSON")
    args = parser.parse_args()
    differ = disagreements(args.cases)
    print(f"{args.cases:,} cases: {differ} disagreements")
    if args.write:
        command = f"python -m benchmarks.detection_nms --cases {args.cases}"
        note = (
            f"of {args.cases:,} random sets of boxes, those of which suppression keeps others than its definition on "
        )
        figure = {"value": differ, "unit": "", "command": command, "note": f"{note}pycocotools' overlaps"}
        args.write.write_text(json.dumps({"detect.nms_disagreements": figure}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
