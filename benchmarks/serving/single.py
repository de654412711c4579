"""The same model called one by one, in a process of its own, without a server.

Reads ``model``, ``count`` and ``paths`` as JSON from standard input; writes seconds, CPU seconds and the answers.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Captions images one by one, after a few that warm up."""
    os.environ["MODEL"] = job["model"]
    from benchmarks.serving.apps.captioning import answer, load

    captioner, images = load(), [Path(path).read_bytes() for path in job["paths"]]
    for image in images[:4]:
        captioner.caption(image, probabilities=True)
    start, cpu = time.perf_counter(), time.process_time()
    captions = [captioner.caption(images[number % len(images)], probabilities=True) for number in range(job["count"])]
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    return {"wall": wall, "cpu": cpu, "answers": [answer(caption) for caption in captions]}


if __name__ == "__main__":
    json.dump(run(json.load(sys.stdin)), sys.stdout)
