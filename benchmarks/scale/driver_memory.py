"""Measures the memory of a driver that plans and runs a job of 100 million images, without pixels.

    python -m benchmarks.scale.driver_memory FOLDER [--images 100000000] [--write FILE]

The names are made up, and the workers report each block at once; plan, driver and Ray are those of a real job. FOLDER
takes about 2 GB and an empty file for each block, and is emptied at the end; /dev/shm is quickest.
Prints the figure `scale.driver_memory_growth`: the largest memory of the driver after the first hundredth of the
images, relative to its memory then.
"""

import argparse
import json
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from capsmith.deploy.batch.job import Engine, run_job
from capsmith.deploy.batch.places import Place
from capsmith.deploy.batch.plan import BLOCK, Plan, Unit
from capsmith.deploy.batch.ray_engine import RayEngine
from capsmith.deploy.batch.shards import shard_name
from capsmith.deploy.batch.work import Done, Work, Worker

_SAMPLED = 100_000  # units between two samples of the memory while planning


class Memory:
    """Samples the resident memory of this process.

    Args:
        total: Number of steps, of which the first hundredth is the reference.
    """

    def __init__(self, total: int) -> None:
        self._reference_at, self._process = total / 100, psutil.Process()
        self.reference = self.largest = 0.0

    def sample(self, step: int) -> None:
        """Takes a sample after a step."""
        now = self._process.memory_info().rss / 2**20
        if step <= self._reference_at:
            self.reference = self.largest = now
        self.largest = max(self.largest, now)

    @property
    def growth(self) -> float:
        """Largest memory relative to the reference, less 1."""
        return self.largest / self.reference - 1

    def __str__(self) -> str:
        return f"{self.reference:.0f} MB after the first hundredth, at most {self.largest:.0f} MB ({self.growth:+.1%})"


@dataclass
class NoWork:
    """Work that is never done."""

    title: str = "names"
    fingerprint: dict[str, Any] = field(default_factory=dict)

    def open(self, threads: int) -> Worker:
        """Loads nothing."""
        raise NotImplementedError


class Instant:
    """A Ray worker that reports each block at once."""

    def __init__(self, *_: object) -> None:
        pass

    def __call__(self, batch: dict[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
        """Yields a row for each block, as a real worker does."""
        for block in batch["data"]:
            done = Done(int(block), BLOCK, 0, 1.0)
            yield {name: np.array([value]) for name, value in done._asdict().items()}


def planned(images: int, memory: Memory) -> Any:
    """Returns a function that plans made-up names."""

    def units() -> Iterator[Unit]:
        for number in range(images):
            if number % _SAMPLED == 0:
                memory.sample(number)
            yield Unit(f"part-{number // 10_000:05d}/{number:09d}.jpg", size=120_000)

    return lambda folder: Plan.make(folder, "s3://images", "images", units())


def sampled(engine: Engine, memory: Memory) -> Engine:
    """Returns an engine whose driver's memory is sampled; afterwards each block has an (empty) shard."""

    def run(work: Work, folder: str, blocks: np.ndarray) -> Iterable[Done]:
        for step, done in enumerate(engine(work, folder, blocks)):
            if step % 50 == 0:
                memory.sample(step)
            yield done
        (Path(folder) / "shards").mkdir()
        for block in blocks:
            (Path(folder) / f"{shard_name(block)}.parquet").touch()

    return run


def main() -> None:
    """Plans and runs the job, and prints its memory, times and figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=100_000_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the figures as JSON")
    args = parser.parse_args()
    job = args.folder / "driver_memory"
    try:
        planning = Memory(args.images)
        began = time.monotonic()
        plan = planned(args.images, planning)(Place(job))
        seconds = time.monotonic() - began
        print(f"planning {args.images:,} images: {seconds:.0f} s, {plan.blocks:,} blocks; {planning}", flush=True)
        driving = Memory(plan.blocks)
        engine = sampled(RayEngine(args.workers, actor=Instant), driving)
        (job / "job.json").write_text(json.dumps({"title": "names", "input": "s3://images"}))
        report = run_job(NoWork(), "s3://images", str(job), lambda folder: plan, engine)
        driving.sample(plan.blocks)  # after the list of all shards
        print(f"running {report.blocks:,} blocks: {report.seconds:.0f} s; {driving}", flush=True)
    finally:
        shutil.rmtree(job, ignore_errors=True)
    if args.write:
        args.write.write_text(json.dumps(_figures(args.images, planning, driving, seconds), indent=2) + "\n")


def _figures(images: int, planning: Memory, driving: Memory, seconds: float) -> dict[str, dict[str, object]]:
    note = (
        f"driver of a job of {images:,} images' metadata, largest memory after the first hundredth relative to the "
        f"memory then; while planning {planning.growth:+.1%} (at most {planning.largest:.0f} MB, {seconds:.0f} s), "
        f"while Ray's workers report each block at once {driving.growth:+.1%} (at most {driving.largest:.0f} MB)"
    )
    value = round(max(planning.growth, driving.growth), 3)
    command = "python -m benchmarks.scale.driver_memory FOLDER"
    return {"scale.driver_memory_growth": {"value": value, "unit": "", "command": command, "note": note}}


if __name__ == "__main__":
    main()
