"""The engine on Ray: a pool of actors, each with the model, on this machine or on a cluster.

The driver sends numbers of blocks and receives a small row for each; images and results never pass through it, nor
through Ray's object store. Blocks are sent in groups, so that the driver has few tasks for any number of blocks.
"""

import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from capsmith.core.errors import CapsmithError, ConfigError, DataError, MissingExtraError, one_line, printable
from capsmith.core.log import get_logger
from capsmith.deploy.batch.places import Place
from capsmith.deploy.batch.plan import Plan
from capsmith.deploy.batch.shards import counted, names, shard_name
from capsmith.deploy.batch.work import BlockRunner, Done, Work

logger = get_logger(__name__)

_GROUPS = 2_000  # tasks at most
_PER_CORE = 8  # workers of this machine at most: each has the model
_ATTEMPTS = 5  # workers that may die of one block
ATTEMPTS = "attempts"
"""The folder of a job that counts attempts at unfinished blocks."""
_STORE = 128 * 2**20  # bytes of Ray's object store on this machine: rows are small
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
}
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


class Actor:
    """A worker process. Its errors become rows: Ray would try again.

    Args:
        work: The work.
        folder: Address of the folder of the job.
        threads: Number of threads that it may use.
        driver: Name of the driver's host: errors on others name theirs.
    """

    def __init__(self, work: Work, folder: str, threads: int, driver: str = "") -> None:
        host = socket.gethostname()
        self._error, self._runner, self._folder = "", None, Place(folder)
        self._where = "" if driver in ("", host) else f" (on {host})"
        try:
            if Plan.read(self._folder) is None:
                raise DataError(f"{folder} is not there: give --output a folder that all hosts share")
            with self._loading(f"loading-{host}-"):
                self._runner = BlockRunner(work, folder, threads)
        except Exception as error:  # Ray would start the worker again without end
            self._error = self._line(error)

    def __call__(self, batch: dict[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
        """Yields a row for each block, up to the first error."""
        for block in batch["data"]:
            done = self._done(int(block))
            yield {name: np.array([value]) for name, value in done._asdict().items()}
            if done.error:
                return

    def _done(self, block: int) -> Done:
        if self._runner is None:
            return Done(block, error=self._error)
        try:
            if self._folder.exists(f"{shard_name(block)}.parquet"):  # done by a worker that died later in this group
                return Done(block, *counted(self._folder, [block]))
            with self._attempt(block):
                return self._runner(block)
        except Exception as error:
            return Done(block, error=self._line(error))

    @contextmanager
    def _loading(self, prefix: str) -> Iterator[None]:
        """Marks that this process loads the model; a model that kills its workers would be loaded without end.

        Raises:
            CapsmithError: Too many processes of this host died of it.
        """
        prefix = f"{ATTEMPTS}/{prefix}"
        dead = [name for name in names(self._folder, ATTEMPTS) if name.startswith(prefix) and _is_dead(name)]
        if len(dead) >= _ATTEMPTS:
            raise CapsmithError(f"{_ATTEMPTS} workers died while they loaded the model: is there enough memory?")
        self._folder.write(f"{prefix}{os.getpid()}", b"")
        yield
        for name in (f"{prefix}{os.getpid()}", *dead):
            self._folder.remove(name)

    @contextmanager
    def _attempt(self, block: int) -> Iterator[None]:
        """Counts the attempts at a block in a file, for a block that kills its worker would be tried without end.

        Raises:
            CapsmithError: There were too many.
        """
        name = f"{ATTEMPTS}/{block:08d}"
        count = 1 + (int(self._folder.read(name) or b"0") if self._folder.exists(name) else 0)
        if count > _ATTEMPTS:
            raise CapsmithError(f"{_ATTEMPTS} workers died of block {block} of {self._folder}: is there enough memory?")
        self._folder.write(name, str(count).encode())
        yield
        self._folder.remove(name)

    def _line(self, error: Exception) -> str:
        if not isinstance(error, CapsmithError):
            error = CapsmithError(f"a worker failed: {type(error).__name__}: {one_line(error)[:200]}")
        return " ".join(printable(error).split("\n")) + self._where


class RayEngine:
    """Computes blocks with actors; an ``Engine``.

    Args:
        workers: Number of actors; by default one for each CPU of the cluster, or each GPU if it has any.
        threads: CPUs of an actor.
        actor: Their class.

    Raises:
        MissingExtraError: Ray is not installed.
    """

    def __init__(self, workers: int | None = None, threads: int = 1, actor: type = Actor) -> None:
        self._workers, self._threads, self._actor = workers, threads, actor
        _import_ray()

    def __call__(self, work: Work, folder: str, blocks: np.ndarray) -> Iterator[Done]:
        """Yields finished blocks in any order.

        Raises:
            CapsmithError: The cluster cannot be reached, or a worker died again and again.
        """
        ray = _import_ray()
        began = time.monotonic()
        with _cluster(ray, self._workers, self._threads) as (workers, gpus):
            logger.info(f"ray: {workers} workers, started in {time.monotonic() - began:.0f} s")
            _forget_attempts(Place(folder))
            groups = np.array_split(blocks, min(len(blocks), _GROUPS))
            done = ray.data.from_numpy(groups).map_batches(
                self._actor,
                fn_constructor_args=(work, _absolute(folder), self._threads, socket.gethostname()),
                batch_size=None,
                compute=ray.data.ActorPoolStrategy(size=min(workers, len(groups)), max_tasks_in_flight_per_actor=2),
                num_cpus=self._threads,
                num_gpus=1 if gpus else 0,
                runtime_env={"env_vars": dict.fromkeys(_THREADS, str(self._threads))},
            )
            try:
                for row in done.iter_rows():
                    yield Done(**row)
            except ray.exceptions.RayError as error:
                raise CapsmithError(_reason(error)) from error


@contextmanager
def _cluster(ray: Any, workers: int | None, threads: int) -> Iterator[tuple[int, bool]]:
    """Connects to the cluster of ``RAY_ADDRESS``, or starts one; yields the number of workers, and whether on GPUs."""
    mine = not ray.is_initialized()
    if mine:
        _connect(ray, workers, threads)
    try:
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        context.wait_for_min_actors_s = 0
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        gpus = sum(int(node.get("GPU", 0)) for node in nodes)
        fitting = sum(int(node.get("CPU", 0)) // threads for node in nodes)
        if not fitting:
            most = max(int(node.get("CPU", 0)) for node in nodes)
            raise ConfigError(f"--threads {threads}: the hosts of the Ray cluster have at most {most} CPUs")
        yield workers or gpus or fitting, gpus > 0
    finally:
        if mine:
            ray.shutdown()


def _connect(ray: Any, workers: int | None, threads: int) -> None:
    import logging

    address = os.environ.get("RAY_ADDRESS")
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": True}
    cores = os.cpu_count() or 1
    cpus = max(cores, (workers or 1) * threads)
    if not address and cpus > _PER_CORE * max(cores, 2):
        raise ConfigError(f"--workers {workers}: this machine has {cores} cores; RAY_ADDRESS names a cluster with more")
    own: dict[str, Any] = {"num_cpus": cpus, "object_store_memory": _STORE, "include_dashboard": False}
    try:
        if address:
            _require_reachable(address)
        with _silent():
            ray.init(address=address or "local", **({} if address else own), **quiet)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        where = f"the Ray cluster at {address} (RAY_ADDRESS)" if address else "a Ray cluster on this machine"
        raise CapsmithError(f"cannot {'reach' if address else 'start'} {where}: {one_line(error)[:200]}") from error
    finally:
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)


def _require_reachable(address: str) -> None:
    """Raises OSError if nothing answers at ``host:port``: Ray would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdecimal():
        socket.create_connection((host, int(port)), timeout=10).close()


@contextmanager
def _silent() -> Iterator[None]:
    """Drops what Ray's C++ code writes to standard error while it starts; its errors are exceptions besides."""
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def _absolute(folder: str) -> str:
    return folder if "://" in folder else os.path.abspath(folder)


def _reason(error: Exception) -> str:
    """Explains an error of Ray, whose messages are long."""
    text = str(error)
    if match := re.search(r"ModuleNotFoundError: (No module named '[^']*')", text):
        return f"a host of the Ray cluster lacks a package ({match[1]}): install the same capsmith on every host"
    return f"Ray gave up: {one_line(error)[:200]}"


def _is_dead(name: str) -> bool:
    """Returns whether the process of this host is gone whose number ends a name."""
    try:
        os.kill(int(name.rpartition("-")[2]), 0)
    except ProcessLookupError:
        return True
    except (ValueError, OSError):
        pass
    return False


def _forget_attempts(folder: Place) -> None:
    for entry in folder.entries(ATTEMPTS)[0]:
        folder.remove(entry.name)


def _import_ray() -> Any:
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtraError("ray", "ray", "--engine ray") from error
    return ray
