"""Computes the vectors of an index as a sharded job.

Workers write shards; the command that holds the index, its one writer, merges them.

The jobs of an index stand in its folder ``jobs``, under names that follow from what they compute. A killed command
leaves them, so that the next one computes the missing shards only; they are removed when the index is up to date. A row
of a shard is used if the command looks for an image of that name: other names in a shard mean nothing.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from capsmith.core.errors import CheckpointError, one_line
from capsmith.deploy.batch.job import Engine, run_job
from capsmith.deploy.batch.places import Place
from capsmith.deploy.batch.plan import BLOCK, Plan, Unit
from capsmith.deploy.batch.shards import read_shard, shard_name
from capsmith.deploy.batch.vectors import KnownHashes, VectorWork, encoded_rows
from capsmith.deploy.batch.work import Work
from capsmith.deploy.folder.journal import Stamp
from capsmith.deploy.folder.selection import Item
from capsmith.deploy.search.encoding import Encoded
from capsmith.deploy.search.index_file import ADVICE, ImageIndexError
from capsmith.deploy.search.writer import IndexWriter

JOBS = "jobs"
"""The folder in an index for its jobs."""
_KNOWN = "known.npy"


def sharded_vectors(
    writer: IndexWriter, work: VectorWork, engine: Engine, items: Sequence[Item], stamps: dict[str, Stamp]
) -> Iterator[Iterator[list[Encoded]]]:
    """Computes images, and yields their vectors, a shard at a time; then those of images that were not in that job.

    A job that a killed command left is ended first. Images that have changed since are computed again in a second one.

    Args:
        writer: The index.
        work: Computes vectors; the file of known hashes is set here.
        engine: Computes the blocks.
        items: The images.
        stamps: Size and time of each image now, by name.

    Raises:
        CheckpointError: A shard is damaged.
        CapsmithError: As ``run_job``.
    """
    left = {item.name: item for item in items}
    while left:
        folder = _folder(writer.folder, work, work.root)
        known = Path(folder.uri, _KNOWN)
        resumed = Plan.read(folder) is not None

        def plan(place: Place, known: Path = known) -> Plan:
            if writer.hashes:
                KnownHashes.write(known, writer.hashes)
            units = (Unit(name, size=stamps[name].size) for name in left)
            return Plan.make(place, work.root, "images", units, BLOCK)

        run_job(replace(work, known=str(known)), work.root, folder.uri, plan, engine)

        def batches(folder: Place = folder, resumed: bool = resumed) -> Iterator[list[Encoded]]:
            for rows in _rows(folder, work, writer):
                wanted: list[Encoded] = []
                for row in rows:
                    if _is_wanted(row, left, stamps, resumed, writer):
                        del left[row.item.name]
                        wanted.append(row)
                yield wanted

        yield batches()
        remove_jobs(writer.folder, work.title)
        if left and not resumed:
            raise ImageIndexError(f"{len(left):,} images were not computed: run the same command again")


def _is_wanted(
    row: Encoded, left: dict[str, Item], stamps: dict[str, Stamp], resumed: bool, writer: IndexWriter
) -> bool:
    if row.item.name not in left:
        return False
    if row.error is None and row.vectors is None and row.hash not in writer.hashes:
        return False  # another command has removed the content that was known when the job was planned
    return not resumed or row.stamp == stamps[row.item.name]


def _rows(folder: Place, work: VectorWork, writer: IndexWriter) -> Iterator[list[Encoded]]:
    for block, table in _tables(folder):
        try:
            yield list(encoded_rows(table, Path(work.root), writer.sizes))
        except ValueError as error:
            raise _damaged(folder, block, error) from error


def _tables(folder: Place) -> Iterator[tuple[int, Any]]:
    plan = Plan.read(folder)
    for block in range(plan.blocks if plan else 0):
        yield block, read_shard(folder, block)[0]


def _damaged(folder: Place, block: int, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"{folder}/{shard_name(block)}.parquet is damaged ({one_line(error)[:100]}): delete it, and run the same "
        f"command again"
    )


def _folder(index: Path, work: Work, source: str) -> Place:
    jobs = index / JOBS
    if jobs.is_symlink() or (jobs.exists() and not jobs.is_dir()):
        raise ImageIndexError(f"{jobs} is not a folder: {ADVICE}")
    what = json.dumps([work.title, work.fingerprint, source], sort_keys=True)
    digest = hashlib.sha256(what.encode()).hexdigest()[:16]
    return Place(os.path.abspath(jobs / f"{work.title}-{digest}"))


def remove_jobs(index: Path, title: str) -> None:
    """Removes the jobs of an index that compute something that it has now."""
    jobs = index / JOBS
    if not jobs.is_dir() or jobs.is_symlink():
        return
    for job in jobs.glob(f"{title}-*"):
        shutil.rmtree(job, ignore_errors=True)
    with suppress(OSError):  # it has other jobs
        jobs.rmdir()
