"""The engines of sharded jobs by name."""

import os

from capsmith.core.errors import ConfigError
from capsmith.deploy.batch.job import Engine, local_engine

ENGINES = ("local", "ray")
_MOST = 10_000


def engine_named(name: str, workers: int | None = None, threads: int | None = None) -> Engine:
    """Returns an engine.

    Args:
        name: ``local`` computes in this process; ``ray`` on the cluster of ``RAY_ADDRESS``, or else in processes of
            this machine.
        workers: Processes of ``ray``, by default one for each CPU or GPU of the cluster; threads of ``local``, by
            default one for each core.
        threads: Threads of a process, by default one for ``ray``; for ``local`` in place of ``workers``.

    Raises:
        ConfigError: There is no such engine, or a number is out of range.
        MissingExtraError: Ray is not installed.
    """
    if name not in ENGINES:
        raise ConfigError(f"--engine {name}: the engines are {' and '.join(ENGINES)}")
    if workers is not None and not 1 <= workers <= _MOST:
        raise ConfigError(f"--workers {workers}: a number from 1 to {_MOST:,}")
    if name == "local":
        return local_engine(threads or workers or min(os.cpu_count() or 1, 16))
    from capsmith.deploy.batch.ray_engine import RayEngine

    return RayEngine(workers, threads or 1)
