"""Kills workers and drivers of a caption job on Ray at random, and compares the captions with those of one process.

    python -m benchmarks.scale.ray_kills MODEL IMAGES [--kills 10] [--drivers 3] [--seed 1] [--write FILE]

IMAGES is a folder; the first 1,500 are copied. Each round captions them on a cluster of two workers, in which one
worker is killed (`kill -9`) at a random moment; in some rounds the driver too, after which the same command is run
again. A kill is survived if the job then ends with the same ids and captions as the local engine, none lost or doubled.
Prints the figures `ray.kills_tried` and `ray.kills_survived`.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
from pyarrow import parquet

COMMAND = "python -m benchmarks.scale.ray_kills MODEL IMAGES"
_CODE = """import sys
from capsmith.deploy.batch.captions import caption_shards
print(caption_shards(*sys.argv[1:4], sys.argv[4], 2))"""
_LIMIT = 600  # seconds of a round


def captions(output: Path) -> list[tuple[str, str]]:
    """Returns the name and caption of every row of a job, sorted."""
    table = parquet.read_table(output / "shards", columns=["image", "caption"])
    return sorted(zip(*table.to_pydict().values(), strict=True))


def start(model: str, images: Path, output: Path, engine: str, prefix: Sequence[str] = ()) -> subprocess.Popen[str]:
    """Starts a driver, after a prefix of its command."""
    return subprocess.Popen(
        [*prefix, sys.executable, "-c", _CODE, model, str(images), str(output), engine],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def workers_of(driver: subprocess.Popen[str]) -> list[psutil.Process]:
    """Returns the processes that hold a captioner."""
    try:
        children = psutil.Process(driver.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return [child for child in children if "MapWorker" in _title(child)]


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def finished(driver: subprocess.Popen[str]) -> bool:
    """Waits for the end of a driver, and returns whether it succeeded."""
    try:
        output, _ = driver.communicate(timeout=_LIMIT)
    except subprocess.TimeoutExpired:
        os.killpg(driver.pid, signal.SIGKILL)
        output, _ = driver.communicate()
    if driver.returncode:
        print(output[-1500:], flush=True)
    return driver.returncode == 0


def round_of(args: argparse.Namespace, images: Path, output: Path, victims: list[str], rng: random.Random) -> int:
    """Runs a job in which the victims are killed in turn; returns how many were."""
    killed = 0
    driver = start(args.model, images, output, "ray")
    for victim in victims:
        while driver.poll() is None and not (output / "shards").exists():
            time.sleep(0.05)
        time.sleep(rng.uniform(0.0, args.seconds))
        if driver.poll() is not None:
            break
        if victim == "driver":
            driver.kill()
            driver.communicate()
            killed += 1
            driver = start(args.model, images, output, "ray")
        elif found := workers_of(driver):
            rng.choice(found).kill()
            killed += 1
    return killed if finished(driver) else -killed


def undisturbed(model: str, images: Path, count: int, folder: Path) -> tuple[Path, list[tuple[str, str]]]:
    """Copies the first images into a folder and captions them in one process; returns the copies and the captions."""
    copies = folder / "images"
    copies.mkdir()
    for path in sorted(images.glob("*.jpg"))[:count]:
        shutil.copy(path, copies)
    if not finished(start(model, copies, folder / "local", "local")):
        sys.exit("the local engine failed")
    truth = captions(folder / "local")
    print(f"{len(truth):,} captions by the local engine", flush=True)
    return copies, truth


def main() -> None:
    """Runs rounds until there were enough kills."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("images", type=Path)
    parser.add_argument("--count", type=int, default=1500, help="images that are captioned")
    parser.add_argument("--kills", type=int, default=10, help="workers to kill")
    parser.add_argument("--drivers", type=int, default=3, help="drivers to kill besides")
    parser.add_argument("--seconds", type=float, default=8.0, help="latest moment of a kill after the first shard")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the figures as JSON")
    args = parser.parse_args()
    rng, tried, survived, drivers = random.Random(args.seed), 0, 0, args.drivers
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images, truth = undisturbed(args.model, args.images, args.count, folder)
        workers = 0
        for number in range(args.kills * 4):
            if workers >= args.kills and not drivers:
                break
            victims = ["worker", *(["driver"] if drivers else [])]
            killed = round_of(args, images, folder / f"ray{number}", rng.sample(victims, len(victims)), rng)
            same = killed > 0 and captions(folder / f"ray{number}") == truth
            tried, survived = tried + abs(killed), survived + (killed if same else 0)
            workers += min(abs(killed), 1)
            drivers = max(drivers - (abs(killed) > 1), 0)
            outcome = "same captions" if same else "OTHERS" if killed else "it was over before"
            print(f"round {number + 1}: {abs(killed)} killed, {outcome}", flush=True)
            shutil.rmtree(folder / f"ray{number}", ignore_errors=True)
    print(f"{survived} of {tried} kills survived")
    if args.write:
        args.write.write_text(json.dumps(_figures(tried, survived), indent=2) + "\n", encoding="utf-8")
    sys.exit(survived != tried)


def _figures(tried: int, survived: int) -> dict[str, dict[str, object]]:
    notes = {
        "ray.kills_tried": (tried, "workers and drivers of caption jobs on Ray (two workers) killed (-9) at random"),
        "ray.kills_survived": (survived, "of these after which the job ended with the ids and captions of one process"),
    }
    return {
        name: {"value": value, "unit": "", "command": COMMAND, "note": note} for name, (value, note) in notes.items()
    }


if __name__ == "__main__":
    main()
