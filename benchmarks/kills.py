"""Kills real processes at random moments, restarts them, and compares the result with an undisturbed run.

    python -m benchmarks.kills [--kills 52] [--seed 1] [--write summary_part.json]

Covers extraction, training, self-critical training and evaluation on rendered scenes, all through the command line. A
process is killed (``kill -9``) at a random moment between its start and some seconds of work, and restarted, until
enough kills were made; then it may finish. A kill is survived if the next process resumes from no less than what was
saved, and the final result is unchanged: features, losses and scores of every epoch, captions. Takes about ten minutes;
the exit code is 1 if a kill was not survived.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

from capsmith.models.checkpoints import read_progress  # noqa: E402
from capsmith.training.history import read_csv  # noqa: E402
from capsmith.vision.store import FeatureStore  # noqa: E402

COMMAND = "python -m benchmarks.kills"
TRIED = "processes killed (-9) at random moments of extraction, training, self-critical training and evaluation"
SURVIVED = "of these after which the next process went on, to the same end as one that was never killed"
CONFIG: dict[str, Any] = {
    "data": {"type": "scenes", "train": 600, "dev": 60, "test": 200, "size": 64},
    "text": {"min_count": 1},
    "encoder": {"type": "mobilenet_v2", "weights": "none", "image_size": 96, "output": "grid"},
    "features": {"batch_size": 8},
    "decoder": {"type": "attention", "units": 64, "attention_units": 32, "embedding": {"size": 32}, "dropout": 0.3},
    "training": {"epochs": 6, "batch_size": 40, "checkpoint_every": 0, "ema": 0.99, "patience": None},
    "decoding": {"type": "beam", "beam_size": 5},
    "evaluation": {"after_training": None, "batch_size": 8},
}


@dataclass(frozen=True)
class Stage:
    """One kind of work.

    Attributes:
        name: What it is called.
        command: Arguments of ``capsmith`` for an output folder.
        working: Regular expression of the line on standard error after which work has started.
        seconds: Latest moment of a kill after that, in seconds.
        kept: Progress on disk: numbers that no kill and no start may reduce.
        differs: How the result differs from the reference, as text; empty if it does not.
    """

    name: str
    command: Callable[[Path], list[str]]
    working: str
    seconds: float
    kept: Callable[[Path], tuple[int, ...]]
    differs: Callable[[Path, Path], str]


def stages(home: Path) -> list[Stage]:
    """Returns the stages. Each uses the references of the stages before it."""
    cache = f"features.cache={home / 'extraction' / 'reference'}"
    first = home / "training" / "reference"

    def training(folder: Path, *changes: str) -> list[str]:
        sets = [part for change in (cache, *changes) for part in ("--set", change)]
        return ["train", "--config", str(home / "config.yaml"), "--run", str(folder), "--resume", *sets]

    critical = (
        "training.objective=scst",
        f"training.resume_weights_from={first}",
        "training.samples=4",
        "training.epochs=3",
    )
    return [
        Stage(
            "extraction",
            lambda folder: ["extract", "--config", str(home / "config.yaml"), "--set", f"features.cache={folder}"],
            "^features: extracting",
            4.0,
            _rows,
            _other_features,
        ),
        Stage("training", training, "^model:|^resuming", 6.0, _batches, _other_history),
        Stage("self-critical", lambda f: training(f, *critical), "^model:|^resuming", 8.0, _batches, _other_history),
        Stage(
            "evaluation",
            lambda folder: ["evaluate", str(first), "--set", cache, "--out", str(folder)],
            "^features: all",
            3.0,
            lambda folder: (int((folder / "scores.json").exists()),),
            _other_report,
        ),
    ]


def main() -> int:
    """Runs every stage; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=52, help="in all; every stage gets its share")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the two figures as JSON")
    args = parser.parse_args()
    tried = survived = 0
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        data = CONFIG["data"] | {"root": str(home / "scenes")}
        (home / "config.yaml").write_text(yaml.safe_dump(CONFIG | {"data": data}), encoding="utf-8")
        each = stages(home)
        for number, stage in enumerate(each):
            wanted = args.kills // len(each) + (number < args.kills % len(each))
            done, fine = _attack(stage, home / stage.name, wanted, np.random.default_rng((args.seed, number)))
            tried, survived = tried + done, survived + fine
            print(f"{stage.name}: {fine} of {done} kills survived", flush=True)
    if args.write:
        figures = {"robust.kills_tried": (tried, TRIED), "robust.kills_survived": (survived, SURVIVED)}
        part = {name: {"value": n, "unit": "", "command": COMMAND, "note": note} for name, (n, note) in figures.items()}
        args.write.write_text(json.dumps(part, indent=2) + "\n", encoding="utf-8")
    return int(survived != tried)


def _attack(stage: Stage, place: Path, wanted: int, rng: np.random.Generator) -> tuple[int, int]:
    """Returns how many kills were tried and survived; a chain with another result survived none."""
    reference = place / "reference"
    _finish(stage, reference)
    tried = survived = number = 0
    while tried < wanted:
        number += 1
        folder = place / f"chain {number}"
        kills, lost = _chain(stage, folder, wanted - tried, rng)
        try:
            _finish(stage, folder)
            fault = stage.differs(reference, folder)
        except RuntimeError as error:
            fault = str(error)
        if fault:
            print(f"{stage.name}, chain {number}: {fault}")
        tried, survived = tried + kills, survived + (0 if fault else kills - lost)
    return tried, survived


def _chain(stage: Stage, folder: Path, wanted: int, rng: np.random.Generator) -> tuple[int, int]:
    """Starts and kills a process until enough or finished; returns the kills, and how many of them lost something."""
    kills = lost = 0
    kept = stage.kept(folder)
    while kills < wanted:
        process = _start(stage, folder)
        at_once = rng.random() < 0.2  # while it starts, too
        try:
            if at_once or _works(process, stage.working):
                process.wait(rng.uniform(0, stage.seconds))
            if code := process.wait():
                print(f"{stage.name} ended with exit code {code} after kill {kills}")
                lost = kills
            break
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        kills += 1
        now = stage.kept(folder)
        if now < kept:
            print(f"{stage.name}: had {kept}, has {now} after kill {kills}")
            lost += 1
        kept = now
    return kills, lost


def _start(stage: Stage, folder: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "capsmith", *stage.command(folder)]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def _works(process: "subprocess.Popen[str]", line: str) -> bool:
    """Waits until a process has started its work; returns False if it ended before."""
    assert process.stderr is not None
    return any(re.search(line, said) for said in process.stderr)


def _finish(stage: Stage, folder: Path) -> None:
    process = _start(stage, folder)
    _, said = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{stage.name} ended with exit code {process.returncode}: {said[-500:]}")


def _rows(folder: Path) -> tuple[int, ...]:
    if list(folder.glob("*/manifest.json")):
        return (10**6,)
    lines = [path.read_bytes().count(b"\n") for path in folder.glob("*/journal.jsonl")]
    return (max(lines, default=0),)


def _batches(folder: Path) -> tuple[int, ...]:
    state = folder / "state.npz"
    if not state.exists():
        return (0, 0)
    progress = read_progress(state)
    return len(progress["rows"]), progress.get("pass", {}).get("step", 0)


def _other_features(reference: Path, folder: Path) -> str:
    one, other = (FeatureStore.open(next(place.glob("*/manifest.json")).parent) for place in (reference, folder))
    ids = sorted(image for image in one.ids if image is not None)
    if ids != sorted(image for image in other.ids if image is not None):
        return "other images are in the store"
    same = np.allclose(one.gather(one.rows(ids)), other.gather(other.rows(ids)), rtol=2e-3, atol=2e-3)
    return "" if same else "other features"


def _other_history(reference: Path, folder: Path) -> str:
    one, other = (read_csv(place / "history.csv") for place in (reference, folder))
    if len(one) != len(other):
        return f"{len(other)} epochs in the place of {len(one)}"
    for left, right in zip(one, other, strict=True):
        for key in left.keys() - {"seconds"}:
            if not np.isclose(left[key], right.get(key, np.nan), rtol=1e-4, atol=1e-4):
                return f"epoch {left['epoch']:.0f}: {key} is {right.get(key)}, not {left[key]}"
    return ""


def _other_report(reference: Path, folder: Path) -> str:
    changed = [name for name in ("predictions.jsonl", "scores.json") if _read(reference, name) != _read(folder, name)]
    return f"another {changed[0]}" if changed else ""


def _read(folder: Path, name: str) -> str:
    return (folder / name).read_text(encoding="utf-8")


if __name__ == "__main__":
    started = time.perf_counter()
    code = main()
    print(f"in {(time.perf_counter() - started) / 60:.1f} minutes")
    sys.exit(code)
