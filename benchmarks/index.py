"""The index of a folder: its rate beside the CNN alone, an unchanged second run, and kills survived.

    python -m benchmarks.index RUN IMAGES [--images 640] [--rounds 3] [--kills 20] [--write FILE]

The rates are measured in one process, turn by turn: the CNN alone on decoded pixels in memory, in the same batches;
and the index command's work from files to committed vectors, into a fresh index each time. Medians of the rounds are
compared. Then ``capsmith index`` runs a second time over the unchanged folder IMAGES, as a process of its own, and is
killed (``kill -9``) at random moments while it indexes a copy of some images, each kill followed by the same command.
A chain of kills is survived if in the end each image is in the index exactly once and its vectors are those of an
index that nothing interrupted.
"""

import argparse
import json
import os
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path

import numpy as np

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

from capsmith.deploy.folder.pipeline import KERAS_BATCH  # noqa: E402
from capsmith.deploy.folder.selection import select  # noqa: E402
from capsmith.deploy.search.build import build_index  # noqa: E402
from capsmith.deploy.search.vector_file import DTYPE  # noqa: E402
from capsmith.models.embedders import load_embedder  # noqa: E402
from capsmith.vision.images import load_sizes  # noqa: E402

NOTES = {
    "index.vs_cnn": "rate of capsmith index, from files to committed vectors, to that of the CNN alone on pixels",
    "index.images_per_second": "images indexed in a second, from files to committed vectors",
    "index.unchanged_seconds": "seconds of capsmith index over an unchanged folder, the whole process",
    "index.kills_tried": "processes killed (-9) at random moments of capsmith index",
    "index.kills_survived": "of these after which nothing was lost or doubled, and all vectors were right",
}


def main() -> int:
    """Prints rates, seconds and kills; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="the run of an embedding")
    parser.add_argument("folder", type=Path, metavar="IMAGES")
    parser.add_argument("--images", type=int, default=640, help="for the rates; at most those of the folder")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--index", type=Path, help="an index of IMAGES, for the unchanged run; by default a new one")
    parser.add_argument("--no-unchanged", action="store_true", help="do not index all IMAGES")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--kill-images", type=int, default=200)
    parser.add_argument("--engine", help="of the killed commands: local, or ray with its start-up")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the figures as JSON")
    args = parser.parse_args()
    paths = select([args.folder]).paths
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as home:
        if args.rounds:
            figures |= rates(args, _copy(paths[: args.images], Path(home) / "photos"), Path(home))
        if not args.no_unchanged:
            figures["index.unchanged_seconds"] = unchanged(args, args.index or Path(home) / "all.index")
        if args.kills:
            tried, survived = kills(args, _copy(paths[: args.kill_images], Path(home) / "killed"), Path(home))
            figures |= {"index.kills_tried": tried, "index.kills_survived": survived}
    print(json.dumps(figures))
    if args.write:
        command = f"python -m benchmarks.index {args.run} {args.folder} --images {args.images} --kills {args.kills}"
        units = {"index.images_per_second": "images/s", "index.unchanged_seconds": "s"}
        part = {
            name: {"value": value, "unit": units.get(name, ""), "command": command, "note": NOTES[name]}
            for name, value in figures.items()
        }
        args.write.write_text(json.dumps(part, indent=2) + "\n", encoding="utf-8")
    return int(figures.get("index.kills_tried", 0) != figures.get("index.kills_survived", 0))


def rates(args: argparse.Namespace, photos: Path, home: Path) -> dict[str, float]:
    """Returns the rate of an index, and its ratio to that of the CNN."""
    embedder = load_embedder([args.run])
    paths = select([photos]).paths
    sample = [load_sizes(path, embedder.image_sizes, framing=embedder.framing) for path in paths[: 4 * KERAS_BATCH]]
    size = min(KERAS_BATCH, len(sample))
    parts = [sample[at : at + size] for at in range(0, len(sample) - size + 1, size)]
    batches = [[np.stack(pixels) for pixels in zip(*part, strict=True)] for part in parts]
    count = max(1, len(paths) // size)

    def cnn() -> int:
        for batch in islice(cycle(batches), count):
            embedder.encode(*batch)
        return count * size

    def index() -> int:
        out = home / "rate.index"
        shutil.rmtree(out, ignore_errors=True)
        return build_index(photos, out, embedder, workers=args.workers).encoded

    kinds: dict[str, Callable[[], int]] = {"cnn": cnn, "index": index}
    embedder.encode(*batches[0])  # compiles
    measured: dict[str, list[float]] = {name: [] for name in kinds}
    used: dict[str, list[float]] = {name: [] for name in kinds}
    for turn in range(args.rounds):
        for name, function in kinds.items():
            started, cpu = time.perf_counter(), time.process_time()
            done = function()
            measured[name].append(done / (time.perf_counter() - started))
            used[name].append(1000 * (time.process_time() - cpu) / done)
        rounds = ", ".join(f"{name} {values[-1]:.1f} images/s" for name, values in measured.items())
        print(f"round {turn + 1}: {rounds}", flush=True)
    print("CPU: " + ", ".join(f"{name} {statistics.median(one):.1f} ms" for name, one in used.items()) + " an image")
    median = {name: statistics.median(values) for name, values in measured.items()}
    return {
        "index.images_per_second": round(median["index"], 1),
        "index.vs_cnn": round(median["index"] / median["cnn"], 3),
    }


def unchanged(args: argparse.Namespace, out: Path) -> float:
    """Returns the seconds of a run over an unchanged folder: the median of three."""
    _start(args, args.folder, out).wait()
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        if _start(args, args.folder, out).wait():
            raise RuntimeError(f"the index of {args.folder} failed")
        seconds.append(time.perf_counter() - started)
    return round(statistics.median(seconds), 2)


def kills(args: argparse.Namespace, photos: Path, home: Path) -> tuple[int, int]:
    """Returns how many kills were tried and survived."""
    rng = random.Random(args.seed)
    _start(args, photos, home / "reference.index", "").wait()
    wanted = stored(home / "reference.index")
    if len(wanted) != len(select([photos]).paths):
        raise RuntimeError(f"the undisturbed run indexed {len(wanted)} images")
    tried = survived = number = 0
    while tried < args.kills:
        number += 1
        out = home / f"chain {number}.index"
        count = _chain(args, photos, out, args.kills - tried, len(wanted), rng)
        same = stored(out) == wanted
        print(f"chain {number}: {count} kills; {'all vectors right' if same else 'LOST OR DOUBLED'}", flush=True)
        tried, survived = tried + count, survived + (count if same else 0)
    return tried, survived


def _chain(args: argparse.Namespace, photos: Path, out: Path, most: int, total: int, rng: random.Random) -> int:
    """Kills and restarts a command until enough, or it ended; then it may end."""
    count = 0
    while count < most:
        process = _start(args, photos, out)
        before = _progress(out)
        while rng.random() < 0.98 and process.poll() is None and _progress(out) in (before, total):
            time.sleep(0.1)  # most kills while it writes; some while it starts
        try:
            process.wait(rng.uniform(0, 2.5))
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        count += 1
    if _start(args, photos, out).wait():
        raise RuntimeError(f"the command after {count} kills failed")
    return count


def stored(out: Path) -> list[tuple[bytes, bytes, bytes, bytes]]:
    """Returns name, hash and vectors of each image, sorted; reads the files without capsmith's code."""
    file = json.loads((out / "index.json").read_text())
    with sqlite3.connect(out / "images.sqlite") as connection:
        number = dict(connection.execute("SELECT key, value FROM meta")).get("number", 0)
        rows = connection.execute("SELECT i.name, c.hash, c.row FROM images i JOIN contents c ON c.id = i.content")
        images = rows.fetchall()
    sizes = {"semantic": file["size"], "visual": file["visual_size"]}
    parts = [np.fromfile(out / f"{kind}-{number}.f16", DTYPE).reshape(-1, size) for kind, size in sizes.items()]
    return sorted((name, hash, *(part[row].tobytes() for part in parts)) for name, hash, row in images)


def _progress(out: Path) -> int:
    """Returns the number of images in the index, or the shards of its job."""
    try:
        with sqlite3.connect(f"file:{out / 'images.sqlite'}?mode=ro", uri=True) as connection:
            rows = int(connection.execute("SELECT count(*) FROM images").fetchone()[0])
    except sqlite3.Error:
        rows = 0
    return rows or len(list(out.glob("jobs/*/shards/*.parquet")))


def _start(args: argparse.Namespace, photos: Path, out: Path, engine: str | None = None) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "capsmith", "index", str(args.run), str(photos), "--out", str(out)]
    if engine := args.engine if engine is None else engine:
        command += ["--engine", engine]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def _copy(paths: list[Path], folder: Path) -> Path:
    folder.mkdir()
    for path in paths:
        shutil.copyfile(path, folder / path.name)
    return folder


if __name__ == "__main__":
    sys.exit(main())
