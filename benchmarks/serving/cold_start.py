"""Seconds from the start of ``capsmith serve`` to its first caption.

    python -m benchmarks.serving cold-start starter EXPORT RUN [--rounds 3] [--write part.json]

The client connects as soon as it can, and asks again while models are loading. Files are in the system's cache from the
second round on; the first is shown too. Medians are compared.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

from benchmarks.serving.servers import free_port, serving
from benchmarks.serving.throughput import PHOTOS, command_of, environment, photographs
from benchmarks.serving.wire import TARGETS

_PAUSE = 0.01


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.add_argument("models", nargs="*", default=["starter"], help="runs and exports; by default the starter")
    parser.add_argument("--photos", type=Path, default=PHOTOS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the figures as JSON")


def measure(args: argparse.Namespace) -> int:
    """Prints the seconds of each model."""
    target, photo = TARGETS["capsmith"], Path(photographs(args.photos, 1)[0])
    request = target.request(photo.read_bytes())
    found: dict[str, list[float]] = {model: [] for model in args.models}
    for turn in range(args.rounds):
        for model, seconds in found.items():
            port = free_port()
            start = time.perf_counter()
            with serving(command_of("capsmith", model, port, args), port, environment(MODEL=model)) as server:
                body = server.wait(target.path, request, _PAUSE)
                seconds.append(time.perf_counter() - start)
            caption = json.loads(body)["results"][0]["caption"]
            print(f"round {turn + 1}: {model}: {seconds[-1]:.2f} s ({caption})", flush=True)
    medians = {model: statistics.median(seconds) for model, seconds in found.items()}
    runs = [model for model in medians if (Path(model) / "config.yaml").exists()]
    slowest = {
        "serve.first_answer_seconds": [medians[model] for model in medians if model not in runs],
        "serve.first_answer_seconds_tensorflow": [medians[model] for model in runs],
    }
    figures = {name: round(max(values), 2) for name, values in slowest.items() if values}
    print(json.dumps(figures))
    if args.write:
        command = f"python -m benchmarks.serving cold-start {' '.join(args.models)}"
        note = f"from the start of the process to the answer of a caption, median of {args.rounds} starts"
        part = {
            name: {"value": value, "unit": "s", "command": command, "note": note} for name, value in figures.items()
        }
        args.write.write_text(json.dumps(part, indent=2) + "\n", encoding="utf-8")
    return 0
