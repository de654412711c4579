"""Loads a detector's file in a process of its own, with limits, and says how it ended."""

import importlib
import json
import os
import resource
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from capsmith.core.errors import CapsmithError, printable

MEMORY = 8 * 2**30
"""Bytes of address space that a process may use."""
LOAD = "capsmith.vision.detection.load:load_detector"
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Outcome:
    """How loading and detecting ended.

    Attributes:
        kind: ``refused`` with an error for users, ``read``, or ``harmed``: a traceback, a crash, no end in time.
        text: The error, or what was found, or what happened.
        seconds: How long it took.
    """

    kind: str
    text: str
    seconds: float


def detect_within(path: Path, image: Any, seconds: float = 30, patience: float = 10, load: str = LOAD) -> Outcome:
    """Loads a file and detects objects in an image, in a new process whose working folder is the file's.

    Args:
        path: The file.
        image: (H, W, 3) uint8.
        seconds: After which the process is ended.
        patience: Seconds after which a computation is to be stopped by the detector itself.
        load: Module and function that returns a detector of the file.
    """
    start, image_path = time.monotonic(), path.parent / "bad_runs_image.npy"
    np.save(image_path, image)
    command = [sys.executable, "-m", "tests.support.bad_runs", str(path), str(image_path), str(patience), load]
    search = os.pathsep.join(filter(None, (str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH", ""))))
    environment = {**os.environ, "PYTHONPATH": search}
    process = subprocess.Popen(  # noqa: S603
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=path.parent, env=environment
    )
    try:
        output, messages = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return Outcome("harmed", f"no end within {seconds:g} s", time.monotonic() - start)
    spent = time.monotonic() - start
    if process.returncode:
        return Outcome("harmed", f"the process died ({process.returncode}): {messages[-300:]}", spent)
    kind, text = json.loads(output.splitlines()[-1])
    return Outcome(kind, text, spent)


def main() -> None:
    """Does the work of the new process."""
    path, image_path, patience, load = sys.argv[1:]
    module, _, name = load.partition(":")
    loader = getattr(importlib.import_module(module), name)
    importlib.import_module("capsmith.vision.detection.onnx_detector").PATIENCE = float(patience)
    image = np.load(image_path)
    Path(image_path).unlink()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    print(json.dumps(_tried(Path(path), image, loader)), flush=True)
    os._exit(0)  # threads may still compute


def _tried(path: Path, image: Any, load: Callable[[Path], Any]) -> tuple[str, str]:
    try:
        detected = load(path).detect(image)
    except CapsmithError as error:
        text = printable(error)
        return ("harmed", f"several lines: {text}") if "\n" in str(error) else ("refused", text)
    except BaseException:
        return "harmed", traceback.format_exc(limit=-3)
    for found in detected.objects:
        left, top, right, bottom = found.box
        inside = 0 <= left < right <= detected.width and 0 <= top < bottom <= detected.height
        if not (inside and 0 <= found.score <= 1 and found.label and found.label.isprintable()):
            return "harmed", f"impossible: {found}"
    return "read", f"{len(detected.objects)} objects"


if __name__ == "__main__":
    main()
