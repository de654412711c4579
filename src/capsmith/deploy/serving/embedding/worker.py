"""A thread that computes for requests, off the event loop, with a bounded queue."""

import asyncio
import contextlib
import math
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from capsmith.deploy.serving.batcher import Closed, Overloaded

T = TypeVar("T")

_SMOOTHING = 0.2  # weight of the last request in the mean time of one
_LONGEST_RETRY = 60.0


class Worker:
    """Computes one request after the other.

    Args:
        name: Its name in messages and of its thread.
        max_queue: Most requests that are accepted and not yet answered.
    """

    def __init__(self, name: str, max_queue: int) -> None:
        self.name, self.max_queue = name, max_queue
        self._threads = ThreadPoolExecutor(1, name)
        self._accepted: dict[Future[Any], asyncio.Future[Any]] = {}
        self._closed = False
        self._seconds = 0.0  # for a request, a moving mean

    @property
    def used(self) -> bool:
        """Whether it has computed anything."""
        return self._seconds > 0

    @property
    def waiting(self) -> int:
        """Number of requests that were accepted and not yet answered."""
        return len(self._accepted)

    async def run(self, work: Callable[[], T]) -> T:
        """Returns what a function returns. If the calling task is cancelled before its turn, it is not called.

        Raises:
            Overloaded: Too many requests wait.
            Closed: The service is being stopped.
            Exception: What the function raises.
        """
        if self._closed:
            raise Closed("the service is being stopped")
        if len(self._accepted) >= self.max_queue:
            retry = min(_LONGEST_RETRY, max(1.0, len(self._accepted) * self._seconds))
            raise Overloaded(f"{len(self._accepted)} requests wait for {self.name}", math.ceil(retry))
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        computed = self._threads.submit(self._timed, work)
        self._accepted[computed] = answer

        def done(_: Future[T]) -> None:
            self._accepted.pop(computed, None)
            with contextlib.suppress(RuntimeError):  # the event loop has ended
                loop.call_soon_threadsafe(_resolve, answer, computed)

        computed.add_done_callback(done)
        try:
            return await answer
        finally:
            computed.cancel()

    def _timed(self, work: Callable[[], T]) -> T:
        start = time.perf_counter()
        try:
            return work()
        finally:
            seconds = time.perf_counter() - start
            self._seconds += (_SMOOTHING if self._seconds else 1.0) * (seconds - self._seconds)

    def give_up(self) -> None:
        """Accepts no more requests, and ends those that wait with ``Closed``."""
        self._closed = True
        for answer in list(self._accepted.values()):
            if not answer.done():
                answer.set_exception(Closed("the service is being stopped"))

    async def close(self) -> None:
        """Finishes what was accepted, then ends the thread."""
        self._closed = True
        self._threads.shutdown(wait=False)
        while self._accepted:
            await asyncio.sleep(0.01)

    @property
    def is_alive(self) -> bool:
        """Whether it computes."""
        return bool(self._accepted)


def _resolve(answer: "asyncio.Future[T]", computed: "Future[T]") -> None:
    if answer.done() or computed.cancelled():
        return
    error = computed.exception()
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(computed.result())
