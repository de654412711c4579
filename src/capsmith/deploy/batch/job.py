"""Runs a sharded job, and goes on where a killed one stopped.

The folder of a job, local or remote, holds::

    job.json          what is computed, by which model, with which settings
    plan/             the blocks, see ``plan.py``
    shards/           one Parquet file for each finished block, see ``shards.py``
    manifest.json     the numbers of images and shards; written last: without it the job is unfinished
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from capsmith.core import locks
from capsmith.core.errors import CapsmithError, CheckpointError, ConfigError
from capsmith.core.log import get_logger
from capsmith.core.progress import progress_bar
from capsmith.core.readers.json_files import parse_json
from capsmith.deploy.batch.places import Place
from capsmith.deploy.batch.plan import Plan
from capsmith.deploy.batch.shards import counted, finished
from capsmith.deploy.batch.work import BlockRunner, Done, Work

logger = get_logger(__name__)

Engine = Callable[[Work, str, np.ndarray], Iterable[Done]]
"""Computes blocks, given the work, the address of the job and the numbers of the blocks; yields each as it is done, in
any order. A block may be computed twice."""

JOB, MANIFEST = "job.json", "manifest.json"
_GO_ON = "the same command goes on from here"


@dataclass
class Report:
    """What a command did.

    Attributes:
        blocks: Blocks of the job.
        done_before: Blocks that were finished already.
        images: Images that this command computed, unreadable ones included.
        rows: Rows of all shards.
        failed: Images that cannot be read, of all shards.
        seconds: Time that it took, without planning.
        planning: Seconds of planning.
    """

    blocks: int
    done_before: int = 0
    images: int = 0
    rows: int = 0
    failed: int = 0
    seconds: float = 0.0
    planning: float = 0.0


def local_engine(threads: int) -> Engine:
    """Returns the engine that computes blocks in this process, one after the other.

    Args:
        threads: Number of threads that it may use.
    """

    def run(work: Work, folder: str, blocks: np.ndarray) -> Iterator[Done]:
        runner = BlockRunner(work, folder, threads)
        for block in blocks:
            yield runner(int(block))

    return run


def run_job(work: Work, source: str, output: str, plan: Callable[[Place], Plan], engine: Engine) -> Report:
    """Runs a job to its end.

    Args:
        work: The work.
        source: The input, as the command names it: a restart with another one is refused.
        output: Address of the folder of the job; created if missing.
        plan: Makes the plan of a new job, such as ``inputs.plan_input``.
        engine: Computes the blocks.

    Raises:
        ConfigError: The folder holds something else, or a job with another input, model or settings; or another
            process runs it.
        CapsmithError: The input cannot be read, or the model not be loaded.
        KeyboardInterrupt: With a note that says how to go on.
    """
    folder = Place(output)
    with _locked(folder):
        _take(folder, {"title": work.title, "input": source, **work.fingerprint})
        began = time.monotonic()
        blocks = Plan.read(folder) or plan(folder)
        done = finished(folder, blocks.blocks)
        report = Report(blocks.blocks, int(done.sum()), planning=time.monotonic() - began)
        todo = np.flatnonzero(~done)
        report.rows, report.failed = counted(folder, np.flatnonzero(done))
        if len(todo):
            _compute(work, folder, todo, engine, report)
            if lost := blocks.blocks - int(finished(folder, blocks.blocks).sum()):
                more = "" if folder.exists(JOB) else f"delete {folder}, and "
                raise CapsmithError(
                    f"{lost:,} shards of {folder} were removed meanwhile: {more}run the same command again"
                )
        if len(todo) or not folder.exists(MANIFEST):
            totals = {"shards": blocks.blocks, "rows": report.rows, "failed": report.failed}
            folder.write(MANIFEST, _json(totals | work.fingerprint))
    return report


def _compute(work: Work, folder: Place, todo: np.ndarray, engine: Engine, report: Report) -> None:
    began = time.monotonic()
    bar = progress_bar(total=report.blocks, initial=report.done_before, desc=work.title, unit="block")
    seen = np.zeros(report.blocks, bool)
    try:
        with bar as progress:
            for done in engine(work, folder.uri, todo):
                if done.error:
                    raise CapsmithError(done.error)
                if seen[done.block]:
                    continue  # computed twice, with the same result
                seen[done.block] = True
                report.images += done.rows + done.failed
                report.rows += done.rows
                report.failed += done.failed
                progress.update()
    except KeyboardInterrupt as error:
        left = len(todo) - int(seen.sum())
        error.add_note(f": {left:,} of {report.blocks:,} blocks are left; {_GO_ON}")
        raise
    if missing := len(todo) - int(seen.sum()):
        raise CapsmithError(f"{missing:,} blocks were not computed: run the same command again")
    report.seconds = time.monotonic() - began
    rate = f"{report.images / max(report.seconds, 1e-9):,.1f} images/s"
    logger.info(f"{work.title}: {report.images:,} images in {report.seconds:,.0f} s ({rate})")


def _take(folder: Place, wanted: dict[str, Any]) -> None:
    """Claims the folder for a job. A job without a plan has computed nothing: another one may take its place."""
    files, folders = folder.entries()
    if not folder.exists(JOB):
        if others := [name for name in (*(entry.name for entry in files), *folders) if not name.startswith(".")]:
            raise ConfigError(f"{folder} holds {others[0]}, which no job wrote: choose another folder")
    if not folders or (folders == ["plan"] and Plan.read(folder) is None):
        folder.write(JOB, _json(wanted))
        return
    try:
        known = parse_json(folder.read(JOB), strict=False)
        differs = [key for key in {**known, **wanted} if known.get(key) != json.loads(_json(wanted)).get(key)]
    except (ValueError, AttributeError, TypeError) as error:
        raise CheckpointError(f"{folder}/{JOB} is damaged: delete {folder} and start again") from error
    if differs:
        raise ConfigError(f"{folder} holds a job with another {', '.join(sorted(differs))}: choose another folder")


def _locked(folder: Place) -> AbstractContextManager[Any]:
    """Holds the lock of a local folder; a remote one has none."""
    if folder.local is None:
        return nullcontext()
    try:
        folder.local.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot write {folder}: {error.strerror or error}") from error
    return locks.locked(folder.local, f"another process runs the job in {folder}: wait for it, or stop it", ConfigError)


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=True, sort_keys=True).encode() + b"\n"
