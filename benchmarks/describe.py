"""Measures ``capsmith describe``: seconds an image, warm, with every part, and what each part takes.

    python -m benchmarks.describe IMAGE|FOLDER … --library INDEX --detector MODEL.onnx [--rounds 3] [--out figures.json]

The options are those of ``capsmith describe``. Every image is described once to warm up, then in each round. The figure
``describe.seconds`` is the median over images of an image's fastest round; beside it stand the slowest image, the
parts' medians, their sum (what they would take one after the other) and the seconds of processor time an image.
"""

import argparse
import statistics
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from capsmith.cli import describe as verb
from capsmith.core.files import write_json
from capsmith.core.terminal import print_error, print_json
from capsmith.deploy.folder.selection import select

_PARTS = ("caption", "objects", "grounding", "vectors", "similar", "found", "recommendations")


def measure(describer: Any, paths: list[Path], rounds: int) -> dict[str, float]:
    """Returns seconds an image: of all, of the slowest image, of each part, and of the processor."""
    for path in paths:
        describer.describe(path)
    totals: dict[Path, list[float]] = defaultdict(list)
    parts: dict[str, list[float]] = defaultdict(list)
    began = time.process_time()
    for _ in range(rounds):
        for path in paths:
            one = describer.describe(path)
            if one.failed:
                raise RuntimeError(f"{path}: {dict(one.failed)}")
            totals[path].append(one.seconds["total"])
            for part in _PARTS:
                if part in one.seconds:
                    parts[part].append(one.seconds[part])
    processor = (time.process_time() - began) / (rounds * len(paths))
    medians = {f"describe.{part}_seconds": statistics.median(seconds) for part, seconds in parts.items()}
    best = [min(seconds) for seconds in totals.values()]
    figures = {
        "describe.seconds": statistics.median(best),
        "describe.slowest_seconds": max(best),
        **medians,
        "describe.parts_seconds": sum(medians.values()),
        "describe.processor_seconds": processor,
        "describe.images": len(paths),
    }
    return {name: round(value, 4) for name, value in figures.items()}


def main(arguments: list[str] | None = None) -> int:
    """Prints the figures, and writes them to ``--out``."""
    parser = argparse.ArgumentParser(description="Measure capsmith describe.")
    verb.add_arguments(parser)
    parser.add_argument("--rounds", type=int, default=3, help="measured rounds")
    parser.add_argument("--out", type=Path, help="JSON of the figures")
    args = parser.parse_args(arguments)
    paths = select([Path(image) for image in args.images]).paths
    describer = verb.load_describer(args)
    if missing := describer.missing():
        print_error(f"note: without {', '.join(missing)}")
    figures = measure(describer, paths, args.rounds)
    print_json(figures, indent=1)
    if args.out is not None:
        write_json(args.out, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
