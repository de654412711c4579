"""Counts how much bad input is handled: one clear line, exit code 2, nothing executed, nothing lost.

Trains a toy captioner, then makes every mistake of ``tests/mistakes`` through the command line's ``main``. Prints the
faults and the two counts; exits with 1 if a mistake was not handled.

    python -m benchmarks.bad_input [--verbose] [--write summary_part.json]
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from tests import mistakes  # noqa: E402

COMMAND = "python -m benchmarks.bad_input"
NOTE = "kinds of bad input tried through the command line: configs, captions, images, features, checkpoints, full disks"
HANDLED = "of these refused with one clear line and exit code 2, nothing executed, no file lost or left half-written"


def main() -> int:
    """Makes every mistake; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--verbose", action="store_true", help="print every message")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the two figures as JSON")
    args = parser.parse_args()
    started = time.perf_counter()
    handled = 0
    with tempfile.TemporaryDirectory() as folder:
        with contextlib.redirect_stdout(None), open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
            made = mistakes.make_toy(Path(folder) / "toy")
        for number, case in enumerate(mistakes.CASES):
            place = Path(folder) / str(number)
            place.mkdir()
            outcome = mistakes.attempt(case, mistakes.Workshop(place, made))
            handled += not outcome.faults
            if outcome.faults or args.verbose:
                print("FAULT" if outcome.faults else "fine ", case.name)
                for line in [*outcome.faults, *outcome.message]:
                    print("     ", line.replace(folder, "…"))
    tried = len(mistakes.CASES)
    print(f"{handled} of {tried} mistakes handled, in {time.perf_counter() - started:.0f} s")
    if args.write:
        figures = {"robust.badinput_tried": (tried, NOTE), "robust.badinput_handled": (handled, HANDLED)}
        summary = {
            name: {"value": value, "unit": "", "command": COMMAND, "note": note}
            for name, (value, note) in figures.items()
        }
        args.write.write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return int(handled != tried)


if __name__ == "__main__":
    sys.exit(main())
