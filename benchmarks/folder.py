"""A folder of images: images per second beside the CNN alone and a loop over ``Captioner.caption``, and kills survived.

    python -m benchmarks.folder MODEL FOLDER [--images 2000] [--loop 200] [--kills 20] [--rounds 3] [--write part.json]

The rates are measured in one process, in turns: the CNN alone on decoded pixels in memory, in the same batches; the
pipeline from files to captions; the loop, which captions one file at a time. Medians of the rounds are compared. Then
``capsmith caption MODEL FOLDER --write txt,jsonl,csv`` is killed (``kill -9``) at random moments and started again. A
kill is survived if every line that was in the journal is still there, no file is half-written, and in the end each
image has one line and the caption that an undisturbed run gives it. MODEL is a run or an export.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import chain, cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

from capsmith.deploy.folder.journal import FILE  # noqa: E402
from capsmith.deploy.folder.pipeline import BATCH, KERAS_BATCH, caption_images  # noqa: E402
from capsmith.deploy.folder.selection import select  # noqa: E402
from capsmith.vision.images import load_image  # noqa: E402

NOTES = {
    "folder.vs_cnn": "rate of a folder, from files to captions, to that of the CNN alone on decoded pixels",
    "folder.vs_loop": "rate of a folder to that of a loop over Captioner.caption, which the command was before",
    "folder.images_per_second": "images captioned in a second, from files to captions, two cores",
    "folder.kills_tried": "processes killed (-9) at random moments of captioning a folder into files",
    "folder.kills_survived": "of these after which nothing was lost, repeated or half-written",
}


def main() -> int:
    """Prints rates and kills; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="a run or an export")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=2000, help="for the rates; at most those of the folder")
    parser.add_argument("--loop", type=int, default=200, help="images of the loop")
    parser.add_argument("--loop-model", type=Path, metavar="RUN", help="the loop's model, if not MODEL")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch-size", type=int, help=f"by default {BATCH}, in Keras {KERAS_BATCH}")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument(
        "--kill-images", type=int, default=400, help="images of the folder that is captioned and killed"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the figures as JSON")
    args = parser.parse_args()
    paths = select([args.folder]).paths
    figures = rates(args, paths[: args.images]) if args.rounds else {}
    if args.kills:
        tried, survived = kills(args, paths[: args.kill_images])
        figures |= {"folder.kills_tried": tried, "folder.kills_survived": survived}
    print(json.dumps(figures))
    if args.write:
        command = f"python -m benchmarks.folder {args.model} {args.folder}"
        part = {
            name: {
                "value": value,
                "unit": "images/s" if "second" in name else "",
                "command": command,
                "note": NOTES[name],
            }
            for name, value in figures.items()
        }
        args.write.write_text(json.dumps(part, indent=2) + "\n", encoding="utf-8")
    return int(figures.get("folder.kills_tried", 0) != figures.get("folder.kills_survived", 0))


def rates(args: argparse.Namespace, paths: list[Path]) -> dict[str, float]:
    """Returns the ratios of the pipeline's rate to the others."""
    captioner = _load(args.model)
    keras = "keras" in sys.modules
    looped = captioner if args.loop_model is None else _load(args.loop_model)
    sizes, size = captioner.image_sizes, args.batch_size or (KERAS_BATCH if keras else BATCH)
    sample = [[load_image(path, shape) for shape in sizes] for path in islice(paths, 4 * size)]
    batches = [
        [np.stack(part) for part in zip(*sample[at : at + size], strict=True)] for at in range(0, 4 * size, size)
    ]
    batches = [batch for batch in batches if batch and len(batch[0]) == size]
    settings = {"workers": args.workers, "batch_size": size, "overlap": not keras}

    def cnn() -> int:
        for batch in islice(cycle(batches), max(1, len(paths) // size)):
            captioner.encode(*batch)
        return max(1, len(paths) // size) * size

    def pipeline() -> int:
        return sum(result.caption is not None for result in caption_images(captioner, paths, **settings))

    def loop() -> int:
        return len([looped.caption(path) for path in paths[: args.loop]])

    kinds: dict[str, Callable[[], int]] = {"cnn": cnn, "folder": pipeline, "loop": loop}
    list(caption_images(captioner, paths[: 2 * size], **settings))  # compiles, fills caches
    looped.caption(paths[0])
    measured: dict[str, list[float]] = {name: [] for name in kinds}
    used: dict[str, list[float]] = {name: [] for name in kinds}
    for turn in range(args.rounds):
        for name, function in kinds.items():
            started, cpu = time.perf_counter(), time.process_time()
            count = function()
            measured[name].append(count / (time.perf_counter() - started))
            used[name].append(1000 * (time.process_time() - cpu) / count)
        print(
            f"round {turn + 1}: " + ", ".join(f"{name} {values[-1]:.1f} images/s" for name, values in measured.items())
        )
    print(
        "CPU: " + ", ".join(f"{name} {statistics.median(values):.1f} ms" for name, values in used.items()) + " an image"
    )
    median = {name: statistics.median(values) for name, values in measured.items()}
    return {
        "folder.images_per_second": round(median["folder"], 1),
        "folder.vs_cnn": round(median["folder"] / median["cnn"], 3),
        "folder.vs_loop": round(median["folder"] / median["loop"], 2),
    }


def _load(model: Path) -> Any:
    from capsmith import Captioner

    return Captioner.load(model)


def kills(args: argparse.Namespace, paths: list[Path]) -> tuple[int, int]:
    """Returns how many kills were tried and survived."""
    rng = random.Random(args.seed)
    tried = survived = 0
    with tempfile.TemporaryDirectory() as home:
        photos = Path(home) / "photos"
        photos.mkdir()
        for path in paths:
            shutil.copyfile(path, photos / path.name)
        reference = Path(home) / "reference"
        _start(args, photos, reference).wait()
        wanted = _captions(reference)
        if len(wanted) != len(paths):
            raise RuntimeError(f"the undisturbed run captioned {len(wanted)} of {len(paths)} images")
        number = 0
        while tried < args.kills:
            number += 1
            folder = Path(home) / f"chain {number}"
            count, lost = _chain(args, photos, folder, args.kills - tried, rng)
            fault = _faults(folder, wanted)
            print(f"chain {number}: {count} kills, {lost} lost something; {fault or 'all captions right'}", flush=True)
            tried, survived = tried + count, survived + (0 if fault else count - lost)
    return tried, survived


def _chain(args: argparse.Namespace, photos: Path, folder: Path, wanted: int, rng: random.Random) -> tuple[int, int]:
    """Kills and restarts a command until enough, or it ended; then it may end."""
    count = lost = 0
    lines: list[bytes] = []
    while count < wanted:
        process = _start(args, photos, folder)
        before = len(lines)
        deadline = time.monotonic() + 300
        while (
            rng.random() < 0.85 and process.poll() is None and time.monotonic() < deadline
        ):  # most kills while it works
            if len(_journal(folder)) > before:
                break
            time.sleep(0.02)
        try:
            process.wait(rng.uniform(0, 1.5))
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        count += 1
        now = _journal(folder)
        lost += now[: len(lines)] != lines or bool(_torn(folder))
        lines = now
    if _start(args, photos, folder).wait():
        lost = count
    return count, lost


def _start(args: argparse.Namespace, photos: Path, output: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "capsmith", "caption", str(args.model), str(photos), "--write", "txt,jsonl,csv"]
    return subprocess.Popen(
        [*command, "--output", str(output)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _journal(folder: Path) -> list[bytes]:
    """Returns the complete lines about images."""
    path = folder / FILE
    raw = path.read_bytes() if path.exists() else b""
    return [line for line in raw.splitlines(keepends=True) if line.endswith(b"\n") and line.startswith(b'{"image"')]


def _torn(folder: Path) -> list[Path]:
    texts = (path for path in folder.glob("*.txt") if not path.name.startswith("."))
    torn = [path for path in texts if not path.read_bytes().endswith(b"\n")]
    tables = (path for path in chain(folder.glob("captions.*")) if not path.read_bytes().endswith(b"\n"))
    return [*torn, *tables]


def _captions(folder: Path) -> dict[str, str]:
    rows = map(json.loads, (folder / "captions.jsonl").read_text(encoding="utf-8").splitlines())
    return {row["image"]: row.get("caption", "") for row in rows}


def _faults(folder: Path, wanted: dict[str, str]) -> str:
    named = [json.loads(line)["image"] for line in _journal(folder)]
    if sorted(named) != sorted(wanted):
        return f"{len(named) - len(set(named))} images captioned twice, {len(set(wanted) - set(named))} not at all"
    if _captions(folder) != wanted:
        return "other captions in captions.jsonl"
    texts = {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("*.txt")}
    if texts != {Path(name).stem: f"{caption}\n" for name, caption in wanted.items()}:
        return "other captions in the text files"
    return f"{[path.name for path in _torn(folder)]} are half-written" if _torn(folder) else ""


if __name__ == "__main__":
    sys.exit(main())
