"""Reads a detector's file of every known layout, and, where libreyolo is installed, files of true architectures.

    python -m benchmarks.detection_layouts [--true] [--only NAME …] [--write FILE]

The first are files whose outputs show two known objects (``tests/support/detector_layouts.py``). With ``--true``,
libreyolo exports architectures with random weights, and what is read from their outputs is compared with what it reads
itself; that takes some minutes. Prints the figure `detect.layouts`: the number of kinds of files read correctly.
"""

import argparse
import json
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from capsmith.vision.detection.onnx_detector import OnnxDetector
from tests.support.detector_layouts import HEIGHT, LAYOUTS, OBJECTS, WIDTH
from tests.support.onnx_files import saved


def shows_the_objects(path: Path) -> tuple[str, bool]:
    """Returns the layout of a file, and whether its two objects are found within a pixel."""
    detector = OnnxDetector(path)
    objects = detector.detect(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).objects
    labels = list(detector.labels)
    right = len(objects) == len(OBJECTS) and all(
        labels.index(each.label) == number and np.allclose(each.box, box, atol=1) and abs(each.score - score) < 2e-3
        for each, (number, score, box) in zip(objects, OBJECTS, strict=False)
    )
    return detector.layout.name, right


def built() -> Counter[str]:
    """Reads the files whose objects are known, prints a line for each, and counts those read correctly by layout."""
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for kind, (expected, model) in LAYOUTS.items():
            layout, right = shows_the_objects(saved(model(), Path(folder) / "model.onnx"))
            counts[layout] += right and layout == expected
            print(f"{'right' if right and layout == expected else 'WRONG':6} {layout:15} {kind}", flush=True)
    return counts


def true(only: list[str]) -> tuple[int, int]:
    """Compares files of true architectures, prints a line for each, and returns how many agree, and of how many."""
    from tests.support.libreyolo_files import ARCHITECTURES, agreement, export

    agreed, families = 0, only or list(ARCHITECTURES)
    for family in families:
        with tempfile.TemporaryDirectory() as folder:
            start = time.monotonic()
            result = agreement(export(family, Path(folder)))
        same = result.objects > 0 and result.surplus == 0 and result.labels and result.box < 1e-2
        agreed += same
        print(
            f"{'right' if same else 'WRONG':6} {result.layout:15} {family}: {result.objects} objects, boxes within "
            f"{result.box:.1g} pixels, scores within {result.score:.1g}; {time.monotonic() - start:.0f} s",
            flush=True,
        )
    return agreed, len(families)


def main() -> None:
    """Reads all files and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--true", action="store_true", help="also files of true architectures; needs libreyolo")
    parser.add_argument("--only", nargs="*", default=[], help="only these architectures of libreyolo")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the figures as JSON")
    args = parser.parse_args()
    counts = built()
    print(f"{sum(counts.values())} of {len(LAYOUTS)} kinds of files, by layout: {dict(counts)}")
    figures: dict[str, object] = {
        "detect.layouts": {
            "value": sum(counts.values()),
            "unit": "",
            "command": "python -m benchmarks.detection_layouts",
            "note": f"kinds of detectors' ONNX files, of {len(counts)} layouts, whose known objects are found",
        }
    }
    if args.true:
        agreed, tried = true(args.only)
        print(f"{agreed} of {tried} true architectures")
        figures["detect.true_architectures"] = {
            "value": agreed,
            "unit": "",
            "command": "python -m benchmarks.detection_layouts --true",
            "note": f"of {tried} architectures that libreyolo exports with random weights, those read as it reads them",
        }
    if args.write:
        args.write.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
