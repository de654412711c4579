"""Measures how often a detector finds a person in photographs whose captions name one.

    python -m benchmarks.person_recall MODEL.onnx FLICKR8K [--write FILE] [--show SHEET.png]

Two samples of Flickr8k are drawn by seed: 200 images of dev choose the threshold, 200 images of test are measured. An
image has a person if at least one of its five captions names one (``metrics.grounding``: man, girl, people, surfer …).
*Recall* is the share of these in which the detector finds a person. The threshold is the highest of a grid, in steps of
0.01, at which recall on dev is at least 0.9: some points above the 0.85 that are asked of test. Images without a person
in any caption are counted too: a person found there is a false alarm or a person that nobody wrote about.
"""

import argparse
import json
import random
import sys
from pathlib import Path

import numpy as np

from capsmith.core.errors import CapsmithError
from capsmith.core.progress import track
from capsmith.data.flickr8k import Flickr8kConfig
from capsmith.data.records import read_dataset
from capsmith.deploy.folder.detection import detect_images
from capsmith.evaluation.detection.boxes import DrawnImage, save_boxes
from capsmith.metrics.grounding import objects_of
from capsmith.metrics.grounding.table import canonical
from capsmith.vision.detection.detector import Detected, Detector
from capsmith.vision.detection.load import load_detector

COUNT, SHOWN = 200, 20
ASKED, CHOSEN_AT = 0.85, 0.9
LOWEST = 0.05
GRID = np.round(np.arange(LOWEST, 0.96, 0.01), 2)
PERSON = "person"


def names_person(captions: list[str]) -> bool:
    """Returns whether a caption names a person, alone or as one of several classes."""
    return any(PERSON in one.labels for caption in captions for one in objects_of(caption))


def best_scores(detector: Detector, paths: list[Path]) -> tuple[np.ndarray, list[Detected]]:
    """Returns the confidence of the surest person in each image, 0 if there is none, and all that was found."""
    found = []
    for image in track(detect_images(detector, paths, LOWEST), desc="detect", unit="image"):
        if image.detected is None:
            raise CapsmithError(str(image.error))
        found.append(image.detected)
    people = {label for label in detector.labels if canonical(label) == PERSON}
    if not people:
        raise CapsmithError(f"{detector.name} has no class person")
    scores = [max((one.score for one in image.objects if one.label in people), default=0.0) for image in found]
    return np.array(scores), found


def rates(scores: np.ndarray, truth: np.ndarray, threshold: float) -> dict[str, float]:
    """Returns recall, the share of images without a person in which one is found, and precision.

    Args:
        scores: Confidence of the surest person in each image.
        truth: Whether a caption names a person.
        threshold: The least confidence.
    """
    found = scores >= threshold
    right = int(np.count_nonzero(found & truth))
    return {
        "recall": right / max(int(truth.sum()), 1),
        "found_without": int(np.count_nonzero(found & ~truth)) / max(int((~truth).sum()), 1),
        "precision": right / max(int(found.sum()), 1),
    }


def chosen(scores: np.ndarray, truth: np.ndarray) -> float:
    """Returns the highest threshold of the grid at which recall is high enough; the lowest if none is."""
    good = [value for value in GRID.tolist() if rates(scores, truth, value)["recall"] >= CHOSEN_AT]
    return max(good, default=LOWEST)


def main() -> int:
    """Prints the sweep on dev and the figures on test; returns 1 if recall is below what is asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a detector with a class person")
    parser.add_argument("root", type=Path, help="the folder of Flickr8k")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", type=Path, metavar="FILE", help=f"draw {SHOWN} of the test images with their boxes")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the figures as JSON")
    args = parser.parse_args()
    try:
        return measure(args)
    except CapsmithError as error:
        print(f"person_recall: {error}", file=sys.stderr)
        return 2


def measure(args: argparse.Namespace) -> int:
    """Does the work of ``main``."""
    corpus = read_dataset(Flickr8kConfig(root=args.root))
    detector = load_detector(args.model)
    measured = {}
    for split in ("dev", "test"):
        records = random.Random(args.seed).sample(corpus.split(split), COUNT)
        truth = np.array([names_person(list(record.captions)) for record in records])
        scores, found = best_scores(detector, [record.path for record in records])
        measured[split] = scores, truth
        print(f"{split}: a person in the captions of {truth.sum()} of {COUNT} images")
    threshold = chosen(*measured["dev"])
    for value in sorted({threshold, detector.threshold, *np.round(np.arange(0.1, 0.75, 0.1), 2).tolist()}):
        row = "  ".join(f"{name} {rate:.3f}" for name, rate in rates(*measured["dev"], value).items())
        print(f"dev   {value:.2f}: {row}" + (" <- chosen" if value == threshold else ""))
    result = rates(*measured["test"], threshold)
    print(f"test  {threshold:.2f}: " + "  ".join(f"{name} {rate:.3f}" for name, rate in result.items()))
    if args.show:
        show(args.show, [record.path for record in records], found, measured["test"], threshold)
    if args.write:
        write(args, result, measured["test"][1], threshold)
    return int(result["recall"] < ASKED)


def show(
    path: Path, paths: list[Path], found: list[Detected], test: tuple[np.ndarray, np.ndarray], threshold: float
) -> None:
    """Draws the first test images; the line below says what captions and detector say about a person."""
    drawn = []
    for image, detected, score, truth in list(zip(paths, found, *test, strict=True))[:SHOWN]:
        sure = tuple(one for one in detected.objects if one.score >= threshold)
        says = f"captions: {'person' if truth else 'no person'}; best person {score:.2f}"
        drawn.append(DrawnImage(image, Detected(detected.width, detected.height, sure), says))
    save_boxes(drawn, path)


def write(args: argparse.Namespace, result: dict[str, float], truth: np.ndarray, threshold: float) -> None:
    """Writes the figures in the form of ``results/summary.json``."""
    command = f"python -m benchmarks.person_recall {Path(args.model).name} flickr8k"
    people, others = int(truth.sum()), int((~truth).sum())
    notes = {
        "detect.person_recall": f"of {people} of {COUNT} Flickr8k test images (seed {args.seed}) with a person in a "
        f"caption, those in which {Path(args.model).name} finds one at {threshold:.2f}, chosen on {COUNT} dev images",
        "detect.person_precision": "of the images in which it finds a person, those with a person in a caption",
        "detect.person_found_without": f"of the {others} images without a person in any caption, those in which it "
        "finds one",
    }
    values = (result["recall"], result["precision"], result["found_without"])
    figures = {
        name: {"value": round(value, 4), "unit": "", "command": command, "note": note}
        for (name, note), value in zip(notes.items(), values, strict=True)
    }
    args.write.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
