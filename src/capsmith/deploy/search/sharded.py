"""Computes the vectors and captions of an index as sharded jobs.

Workers write shards; the command that holds the index, its one writer, merges them.

The jobs of an index stand in its folder ``jobs``, under names that follow from what they compute. A killed command
leaves them, so that the next one computes the missing shards only; they are removed when the index is up to date. A row
of a shard is used if the command looks for it: other names in a shard mean nothing.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from capsmith.core.errors import CheckpointError, ImageError, one_line
from capsmith.deploy.batch.job import Engine, run_job
from capsmith.deploy.batch.places import Place
from capsmith.deploy.batch.plan import Plan, Unit
from capsmith.deploy.batch.shards import read_shard, shard_name
from capsmith.deploy.batch.vectors import KnownHashes, VectorWork, encoded_rows
from capsmith.deploy.batch.work import Work
from capsmith.deploy.folder.journal import Stamp
from capsmith.deploy.folder.selection import Item
from capsmith.deploy.search.encoding import Encoded
from capsmith.deploy.search.index_file import ADVICE, ImageIndexError
from capsmith.deploy.search.writer import IndexWriter, Uncaptioned

JOBS = "jobs"
"""The folder in an index for its jobs."""
_KNOWN = "known.npy"
_IMAGE, _CAPTION = "image", "caption"  # columns of captions


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
    job = _Job(writer.folder, work, work.root)
    known = Path(job.folder.uri, _KNOWN)
    work = replace(work, known=str(known))
    left = {item.name: item for item in items}

    def units() -> Iterator[Unit]:
        if writer.hashes:
            KnownHashes.write(known, writer.hashes)
        return (Unit(name, size=stamps[name].size) for name in left)

    def is_wanted(row: Encoded) -> bool:
        if row.item.name not in left:
            return False
        if row.error is None and row.vectors is None and row.hash not in writer.hashes:
            return False  # another command has removed the content, which was known when the job was planned
        return not job.resumed or row.stamp == stamps[row.item.name]

    def batches() -> Iterator[list[Encoded]]:
        for block, table, _ in job.shards():
            try:
                rows = list(encoded_rows(table, Path(work.root), writer.sizes))
            except ValueError as error:
                raise job.damaged(block, error) from error
            yield [row for row in rows if is_wanted(row) and left.pop(row.item.name)]

    while left:
        job.run(work, engine, units)
        yield batches()
        job.end(len(left))


def sharded_captions(
    writer: IndexWriter, work: Work, engine: Engine, root: Path, todo: Sequence[Uncaptioned]
) -> Iterator[Iterator[list[tuple[int, str | ImageError]]]]:
    """Captions contents, and yields their numbers and captions, a shard at a time; see ``sharded_vectors``.

    Args:
        writer: The index.
        work: Captions images: ``captions.CaptionWork``.
        engine: Computes the blocks.
        root: The folder of the images.
        todo: The contents.

    Raises:
        CheckpointError: A shard is damaged.
        CapsmithError: As ``run_job``.
    """
    job = _Job(writer.folder, work, os.path.abspath(root))
    left = {hashlib.sha256(one.hash + one.name).hexdigest(): one for one in todo}

    def units() -> Iterator[Unit]:
        return (Unit(id, os.path.join(job.source, os.fsdecode(one.name))) for id, one in left.items())

    def batches() -> Iterator[list[tuple[int, str | ImageError]]]:
        for block, table, failed in job.shards():
            try:
                columns = [table.column(name).to_pylist() for name in (_IMAGE, _CAPTION)]
                rows = [(id, text) for id, text in zip(*columns, strict=True) if id in left]
                if not all(type(text) is str for _, text in rows):
                    raise ValueError("its captions are no texts")
            except (KeyError, TypeError, ValueError) as error:
                raise job.damaged(block, error) from error
            found: list[tuple[int, str | ImageError]] = [(left.pop(id).content, text) for id, text in rows]
            if not job.resumed:  # else they are tried again
                for id in [id for id in failed if id in left]:
                    found.append((left[id].content, _failure(root, left.pop(id), str(failed[id]))))
            yield found

    while left:
        job.run(work, engine, units)
        yield batches()
        job.end(len(left))


def _failure(root: Path, one: Uncaptioned, reason: str) -> ImageError:
    path = root / os.fsdecode(one.name)
    return ImageError(f"{path}: {reason.removeprefix(f'{os.path.abspath(path)}: ')}")


class _Job:
    """A job of an index.

    Args:
        index: The index.
        work: What it computes.
        source: Absolute path of the images.

    Attributes:
        folder: Its folder.
        resumed: Whether another command planned it.

    Raises:
        ImageIndexError: Somebody changed the index.
    """

    def __init__(self, index: Path, work: Work, source: str) -> None:
        jobs = index / JOBS
        if jobs.is_symlink() or (jobs.exists() and not jobs.is_dir()):
            raise ImageIndexError(f"{jobs} is not a folder: {ADVICE}")
        what = json.dumps([work.title, work.fingerprint, source], sort_keys=True)
        digest = hashlib.sha256(what.encode()).hexdigest()[:16]
        self.index, self.title, self.source = index, work.title, source
        self.folder = Place(os.path.abspath(jobs / f"{work.title}-{digest}"))
        self.resumed = False

    def run(self, work: Work, engine: Engine, units: Callable[[], Iterable[Unit]]) -> None:
        """Computes the missing shards; a new job has the units that ``units`` returns."""
        self.resumed = Plan.read(self.folder) is not None
        if not self.resumed:  # what is there was not begun, or written late by workers of a job that is removed
            shutil.rmtree(self.folder.uri, ignore_errors=True)

        def plan(place: Place) -> Plan:
            return Plan.make(place, self.source, "images", units())

        run_job(work, self.source, self.folder.uri, plan, engine)

    def shards(self) -> Iterator[tuple[int, Any, dict[str, str]]]:
        """Yields number, table and failures of each shard."""
        plan = Plan.read(self.folder)
        for block in range(plan.blocks if plan else 0):
            yield block, *read_shard(self.folder, block)

    def damaged(self, block: int, error: Exception) -> CheckpointError:
        """Returns an error that names a shard."""
        return CheckpointError(
            f"{self.folder}/{shard_name(block)}.parquet is damaged ({one_line(error)[:100]}): delete it, and run the "
            f"same command again"
        )

    def end(self, left: int) -> None:
        """Removes the job, whose shards are merged.

        Raises:
            ImageIndexError: It cannot be removed, or has not computed everything.
        """
        remove_jobs(self.index, self.title)
        if left and (not self.resumed or os.path.exists(self.folder.uri)):
            raise ImageIndexError(
                f"{self.folder} is damaged ({left:,} images are not in it): delete it, and run the same command again"
            )


def remove_jobs(index: Path, title: str) -> None:
    """Removes the jobs of an index that compute something that it has now."""
    jobs = index / JOBS
    if not jobs.is_dir() or jobs.is_symlink():
        return
    for job in jobs.glob(f"{title}-*"):
        shutil.rmtree(job, ignore_errors=True)
    with suppress(OSError):  # it has other jobs
        jobs.rmdir()
