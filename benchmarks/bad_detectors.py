"""Loads hostile and broken detectors, each in a process with limits, and counts those that did no harm.

    python -m benchmarks.bad_detectors [--seconds 30] [--only WORDS] [--write FILE]

A file is handled if it is refused with one line, or read so that all that is found is possible, within the time and
the memory, and without running code of its own. Prints figures `detect.badfiles_tried` and `detect.badfiles_handled`.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

from tests.support.bad_detector_values import bad_detectors
from tests.support.bad_detectors import MARKER, BadDetector
from tests.support.bad_runs import Outcome, detect_within

IMAGE = np.random.default_rng(0).integers(0, 256, (80, 120, 3), np.uint8)


def tried(bad: BadDetector, seconds: float, patience: float) -> Outcome:
    """Returns how loading a file ended, see ``detect_within``; files that must be refused and are not count as harm."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        outcome = detect_within(bad.make(folder), IMAGE, seconds, patience)
        if any(folder.rglob(MARKER)) or (folder.parent / "outside.txt").exists():
            return Outcome("harmed", "its code ran", outcome.seconds)
        if bad.refused and outcome.kind == "read":
            return Outcome("harmed", f"read: {outcome.text}", outcome.seconds)
        return outcome


def main() -> None:
    """Tries all files and prints one line for each, then the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0, help="time for one file")
    parser.add_argument("--only", default="", help="only files whose names contain this")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the figures as JSON")
    args = parser.parse_args()
    chosen = [bad for bad in bad_detectors() if args.only in bad.name]
    handled = 0
    for bad in chosen:
        outcome = tried(bad, args.seconds, args.seconds / 3)
        handled += outcome.kind != "harmed"
        print(f"{outcome.kind:8} {outcome.seconds:6.2f} s  {bad.name}: {outcome.text}", flush=True)
    print(f"{handled} of {len(chosen)} handled")
    if args.write:
        args.write.write_text(json.dumps(_figures(len(chosen), handled), indent=2) + "\n", encoding="utf-8")


def _figures(count: int, handled: int) -> dict[str, dict[str, object]]:
    what = (
        "hostile and broken ONNX files as detectors: no ONNX files, weights in other files, foreign operators, bombs, "
    )
    what += "wrong types and sizes, NaN, names that are code"
    good = (
        "of these refused in one line, or read so that all that is found is possible, in a process with 8 GB of memory"
    )
    notes = {"detect.badfiles_tried": (count, what), "detect.badfiles_handled": (handled, good)}
    command = "python -m benchmarks.bad_detectors"
    return {
        name: {"value": value, "unit": "", "command": command, "note": note} for name, (value, note) in notes.items()
    }


if __name__ == "__main__":
    main()
