"""What a sharded job computes: a worker turns the images of one block into one shard."""

import time
from collections.abc import Iterator
from socket import gethostname
from typing import Any, NamedTuple, Protocol

from capsmith.core.errors import ConfigError
from capsmith.deploy.batch.inputs import NamedImage, images_of, require_input
from capsmith.deploy.batch.places import Place
from capsmith.deploy.batch.plan import Plan
from capsmith.deploy.batch.shards import Shard, write_shard


class Worker(Protocol):
    """A loaded model."""

    def __call__(self, images: Iterator[NamedImage]) -> Shard:
        """Computes the images of a block. Its result depends on nothing else."""


class Work(Protocol):
    """A job's work, without its model: it is sent to other processes, and therefore picklable."""

    @property
    def title(self) -> str:
        """What is made, for progress, such as ``captions``."""

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What results depend on besides the images: a restart with another one is refused."""

    def open(self, threads: int) -> Worker:
        """Loads the model.

        Args:
            threads: Number of threads that the worker may use.

        Raises:
            CapsmithError: It cannot be loaded.
        """


class Done(NamedTuple):
    """A finished block.

    Attributes:
        block: Its number.
        rows: Rows of its shard.
        failed: Images that cannot be read.
        seconds: Time that it took.
        error: Why it could not be computed, in one line: such an error ends the job. Empty otherwise.
    """

    block: int
    rows: int = 0
    failed: int = 0
    seconds: float = 0.0
    error: str = ""


class BlockRunner:
    """Computes blocks and writes their shards; an engine has one in each of its processes.

    Args:
        work: The work.
        folder: Address of the folder of the job.
        threads: Number of threads that it may use.
    """

    def __init__(self, work: Work, folder: str, threads: int) -> None:
        self.folder = Place(folder)
        self.worker = work.open(threads)
        self._plan: Plan | None = None

    def __call__(self, block: int) -> Done:
        """Computes a block and writes its shard, which appears when it is complete.

        Raises:
            ConfigError: This machine does not see the folder of the job.
            CapsmithError: The input cannot be read, or the shard not be written.
        """
        began = time.monotonic()
        shard = self.worker(images_of(self.plan, self.plan.block(block)))
        if shard.failed:
            require_input(self.plan.input)
        rows = write_shard(self.folder, block, shard)
        return Done(block, rows, len(shard.failed), time.monotonic() - began)

    @property
    def plan(self) -> Plan:
        """The plan of the job."""
        if self._plan is None:
            self._plan = Plan.read(self.folder)
        if self._plan is None:  # the driver wrote it
            raise ConfigError(f"{self.folder} is not on {gethostname()}: name a folder that all machines see")
        return self._plan
