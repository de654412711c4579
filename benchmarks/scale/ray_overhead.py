"""Measures what captioning by `--engine ray` costs more than in one process, on one machine.

    python -m benchmarks.scale.ray_overhead MODEL IMAGES [--counts 2000 8091] [--rounds 2] [--write FILE]

IMAGES is a folder of photos. Three commands caption the same images, turn by turn, each as a process of its own:

    folder   capsmith caption MODEL FOLDER --write jsonl          today's pipeline, on all cores
    local    capsmith caption MODEL --input FOLDER --output …     blocks and shards in one process, on all cores
    ray      the same with --engine ray --workers 2               a Ray cluster of this machine that is started for it

Seconds an image are the slope between the two numbers of images, so that start-up is not in it: that of Python, of the
model and of Ray is stated apart, as what is left at no images. Of several rounds, the fastest of each run counts. CPU
seconds are those of all processes that a command started, sampled twice a second. All captions are compared.

`ray.overhead` is the slope of ray, divided by the smaller one of the others.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from pyarrow import parquet

_SAMPLE = 0.5  # seconds between samples of CPU time
_LIMIT = 900  # seconds of one command
WAYS = ("folder", "local", "ray")


@dataclass
class Measured:
    """Times of one way.

    Attributes:
        wall: Seconds of each run, by the number of images.
        cpu: CPU seconds likewise.
    """

    wall: dict[int, float] = field(default_factory=dict)
    cpu: dict[int, float] = field(default_factory=dict)

    def add(self, count: int, wall: float, cpu: float) -> None:
        """Adds a run; the fastest counts."""
        if wall < self.wall.get(count, float("inf")):
            self.wall[count], self.cpu[count] = wall, cpu

    def slope(self, cpu: bool = False) -> float:
        """Seconds an image."""
        seconds = self.cpu if cpu else self.wall
        few, many = min(seconds), max(seconds)
        return (seconds[many] - seconds[few]) / (many - few)

    def start(self) -> float:
        """Seconds at no images."""
        few = min(self.wall)
        return self.wall[few] - few * self.slope()


def command(way: str, model: str, images: Path, output: Path, workers: int) -> list[str]:
    """Returns a command line."""
    caption = [sys.executable, "-m", "capsmith", "caption", model]
    if way == "folder":
        return [*caption, str(images), "--write", "jsonl", "--output", str(output)]
    sharded = [*caption, "--input", str(images), "--output", str(output)]
    return [*sharded, "--engine", "ray", "--workers", str(workers)] if way == "ray" else sharded


def run(arguments: list[str]) -> tuple[float, float]:
    """Runs a command; returns its seconds and CPU seconds."""
    began = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(arguments, stdout=output, stderr=subprocess.STDOUT)
        used: dict[int, float] = {}
        while process.poll() is None:
            used |= dict(_cpu_seconds(process.pid))
            if time.perf_counter() - began > _LIMIT:
                process.kill()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_SAMPLE)
        wall = time.perf_counter() - began
        if process.returncode:
            output.seek(0)
            sys.exit(f"{' '.join(arguments)} ended with {process.returncode}: {output.read().decode()[-2000:]}")
    return wall, sum(used.values())


def _cpu_seconds(pid: int) -> Iterator[tuple[int, float]]:
    try:
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            times = one.cpu_times()
            yield one.pid, times.user + times.system
    except psutil.Error:
        return


def captions(way: str, output: Path) -> dict[str, str]:
    """Returns the caption of each image of a command."""
    if way == "folder":
        records = map(json.loads, (output / "captions.jsonl").read_text(encoding="utf-8").splitlines())
        return {record["image"]: record["caption"] for record in records}
    table = parquet.read_table(output / "shards", columns=["image", "caption"]).to_pydict()
    return dict(zip(table["image"], table["caption"], strict=True))


def measure(model: str, images: Path, counts: list[int], rounds: int, workers: int) -> tuple[dict[str, Measured], int]:
    """Runs all commands; returns times, and how many captions differ from those of the folder."""
    measured = {way: Measured() for way in WAYS}
    differing = 0
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        for count in counts:
            link(images, scratch / f"images-{count}", count)
        for number in range(rounds):
            for count in counts:
                found = {}
                for way in WAYS if number % 2 == 0 else reversed(WAYS):
                    output = scratch / f"{way}-{count}-{number}"
                    wall, cpu = run(command(way, model, scratch / f"images-{count}", output, workers))
                    measured[way].add(count, wall, cpu)
                    found[way] = captions(way, output)
                    rate = f"{count / wall:5.1f} images/s with its start"
                    print(
                        f"round {number} {way:6} {count:5} images: {wall:6.1f} s, {cpu:6.1f} CPU s, {rate}", flush=True
                    )
                wrong = {way: _differing(found["folder"], found[way]) for way in ("local", "ray")}
                print(f"round {number} captions that differ from folder's: {wrong}", flush=True)
                differing += sum(wrong.values())
    return measured, differing


def link(images: Path, folder: Path, count: int) -> None:
    """Makes a folder of links to the first images."""
    folder.mkdir()
    paths = sorted(path for path in images.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))[:count]
    if len(paths) < count:
        sys.exit(f"{images} has {len(paths):,} images, not {count:,}")
    for path in paths:
        (folder / path.name).symlink_to(os.path.abspath(path))


def _differing(expected: dict[str, str], found: dict[str, str]) -> int:
    return sum(expected.get(name) != found.get(name) for name in expected.keys() | found.keys())


def main() -> None:
    """Prints a line for each run, a table, and the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a run or an export")
    parser.add_argument("images", type=Path, help="a folder of photos")
    parser.add_argument("--counts", type=int, nargs=2, default=[2_000, 8_091], metavar="N")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2, help="of Ray")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the figures as JSON")
    args = parser.parse_args()
    measured, differing = measure(args.model, args.images, args.counts, args.rounds, args.workers)
    print("way     ms an image  CPU ms an image  start-up in s")
    for way, one in measured.items():
        print(f"{way:7} {1000 * one.slope():11.2f}  {1000 * one.slope(cpu=True):15.2f}  {one.start():13.1f}")
    best = min((measured["folder"], measured["local"]), key=Measured.slope)
    ray = measured["ray"]
    print(f"ray.overhead {ray.slope() / best.slope():.3f}, of CPU time {ray.slope(True) / best.slope(True):.3f}")
    print(f"captions that differ: {differing}")
    if args.write:
        args.write.write_text(json.dumps(_figures(args, measured, differing), indent=2) + "\n", encoding="utf-8")


def _figures(args: argparse.Namespace, measured: dict[str, Measured], differing: int) -> dict[str, dict[str, object]]:
    best = min(("folder", "local"), key=lambda way: measured[way].slope())
    ray, other = measured["ray"], measured[best]
    few, many = sorted(args.counts)
    starts = ", ".join(f"{way} {one.start():.1f} s" for way, one in measured.items())
    note = (
        f"seconds an image of capsmith caption --engine ray with {args.workers} workers, divided by those of the faster"
        f" one of --engine local and --write jsonl ({best}), on the same cores: the slope between {few:,} and {many:,} "
        f"images; {1000 * ray.slope():.2f} ms against {1000 * other.slope():.2f} ms, CPU time "
        f"{ray.slope(True) / other.slope(True):.2f} ×; start-up apart: {starts}; {differing} captions differ"
    )
    value = round(ray.slope() / other.slope(), 3)
    command = "python -m benchmarks.scale.ray_overhead EXPORT IMAGES"
    return {"ray.overhead": {"value": value, "unit": "×", "command": command, "note": note}}


if __name__ == "__main__":
    main()
