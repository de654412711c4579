"""Dynamic batches: images of requests in flight are encoded together, and searched together if they want the same.

Two threads work at the same time, one for the CNN and one for the search; each takes what has gathered while it was
busy, so batches grow with the load, and a single request does not wait.
"""

import asyncio
import contextlib
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from capsmith.core.errors import CapsmithError
from capsmith.core.log import get_logger
from capsmith.deploy.serving.batch_queue import BatchQueue, Image, Job, images_at_once
from capsmith.deploy.serving.batch_work import SIZES, BatchWork, Wanted

Observer = Callable[[str, int, float], None]
"""Told about each batch, by the thread that computed it: ``encode`` or ``search``, images, seconds."""

log = get_logger(__name__)

_SMOOTHING = 0.2  # weight of the last batch in the mean time of an image
_LONGEST_RETRY = 60.0


class Overloaded(CapsmithError):
    """Too many images wait for a model.

    Attributes:
        retry_after: Estimated seconds until there is room.
    """

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Closed(CapsmithError):
    """The service is being stopped and accepts no more images."""


class Batcher:
    """Runs a captioner for many requests at once. Captions do not depend on what they were batched with.

    Args:
        captioner: A captioner, which only this batcher calls.
        name: Its name in messages and in the names of threads.
        max_batch: Most images that are encoded or searched at once.
        max_wait: Seconds that an idle model waits for images that are being uploaded, see ``expecting``.
        max_queue: Most images that are accepted and not yet answered.
        keras: The captioner compiles its functions for each size of a batch: batches are filled up to a few sizes, and
            one thread at a time computes.
        observe: Called after each batch.
    """

    def __init__(
        self,
        captioner: Any,
        name: str = "",
        max_batch: int = 16,
        max_wait: float = 0.004,
        max_queue: int = 64,
        keras: bool = False,
        observe: Observer | None = None,
    ) -> None:
        self.captioner, self.name = captioner, name
        self.max_batch, self.max_queue, self.observe = max_batch, max_queue, observe
        self._work, self._keras = BatchWork(captioner, keras), keras
        self._queue = BatchQueue(max_batch, max_wait)
        self._turn: Any = threading.Lock() if keras else contextlib.nullcontext()
        self._jobs: set[Job] = set()  # that are awaited
        self._seconds = {"encode": 0.0, "search": 0.0}  # for an image, a moving mean
        self._threads = [
            threading.Thread(target=self._guarded, args=(run,), name=f"{stage} {name}", daemon=True)
            for stage, run in (("encode", self._encode_all), ("search", self._search_all))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Number of images that were accepted and not yet answered."""
        return self._queue.waiting

    @contextlib.contextmanager
    def expecting(self) -> Iterator[None]:
        """Announces a request that is being uploaded or decoded, for which an idle model waits a few milliseconds."""
        self._queue.expect(1)
        try:
            yield
        finally:
            self._queue.expect(-1)

    async def caption(
        self, pixels: Sequence[Sequence[np.ndarray]], decoding: Any, details: bool = True, attention: bool = False
    ) -> list[Any]:
        """Captions images. If the calling task is cancelled, their places are freed.

        Args:
            pixels: For each image one array (H, W, 3) for each different encoder, at its size.
            decoding: The search.
            details: Also return the probability of each word.
            attention: Also return attention maps.

        Raises:
            Overloaded: Too many images wait.
            Closed: The batcher was closed.
            CapsmithError, MemoryError: The images cannot be captioned with these settings.
        """
        if not pixels:
            return []
        loop = asyncio.get_running_loop()
        result: asyncio.Future[list[Any]] = loop.create_future()

        def finish(job: Job, error: Exception | None) -> None:
            with contextlib.suppress(RuntimeError):  # the event loop has ended
                loop.call_soon_threadsafe(_resolve, result, job, error)

        wanted = Wanted(decoding, details, attention)
        job = Job(pixels, wanted, finish, images_at_once=images_at_once(decoding))
        self._accept(job)
        self._jobs.add(job)
        try:
            return await result
        finally:
            self._jobs.discard(job)
            if job.missing:  # an error, or cancelled
                self._queue.drop(job)

    def warm_up(self, pixels: Sequence[np.ndarray], decoding: Any) -> None:
        """Captions an image before the service begins, and waits for it; Keras compiles other sizes when it is idle.

        Args:
            pixels: An image.
            decoding: The usual search.

        Raises:
            Exception: What the captioner raises.
        """
        first, errors = threading.Event(), deque[Exception]()

        def finish(job: Job, error: Exception | None) -> None:
            if error is not None:
                errors.append(error)
            elif self._keras:
                self._queue.set_limit(min(self.max_batch, len(job.images)))
            first.set()

        def job(size: int) -> Job:
            return Job([pixels] * size, Wanted(decoding), finish, is_alone=True)

        self._queue.set_limit(1 if self._keras else self.max_batch)
        self._accept(job(1))
        first.wait()
        if errors:
            raise errors[0]
        if self._keras and self.max_batch > 1:
            last = next((size for size in SIZES if size >= self.max_batch), self.max_batch)
            self._queue.add_rare(job(size) for size in SIZES if 1 < size <= last)

    async def close(self) -> None:
        """Finishes what was accepted, then ends the threads."""
        self._queue.close()
        while self.is_alive:
            await asyncio.sleep(0.01)  # a thread that waits for them could not be cancelled

    def give_up(self) -> None:
        """Accepts no more images, and ends all requests with ``Closed``."""
        self._queue.close()
        for job in list(self._jobs):
            job.finish(job, Closed("the service is being stopped"))

    @property
    def is_alive(self) -> bool:
        """Whether one of the threads runs."""
        return any(thread.is_alive() for thread in self._threads)

    def _accept(self, job: Job) -> None:
        waiting = self._queue.accept(job, self.max_queue)
        if waiting == -1:
            raise Closed("the service is being stopped")
        if waiting is not None:
            retry = min(_LONGEST_RETRY, max(1.0, waiting * max(self._seconds.values())))
            raise Overloaded(f"{waiting} images wait for {self.name or 'the model'}", math.ceil(retry))

    # --- the two threads ---------------------------------------------------------------------------------------------

    def _guarded(self, run: Callable[[], None]) -> None:
        """Runs a thread; if it fails, requests are refused instead of waiting for ever."""
        try:
            run()
        except BaseException as error:
            log.error("the model %s stopped working: %s", self.name, type(error).__name__)
            self._queue.end()
            self.give_up()

    def _encode_all(self) -> None:
        while batch := self._queue.next_pixels():
            size = self._work.encoded_at_once or len(batch)
            while batch:
                part, batch = batch[:size], batch[size:]
                self._queue.pass_on(self._computed("encode", self._encode, part), len(part))
            del part  # frees the pixels while the thread waits
        self._queue.end()

    def _search_all(self) -> None:
        while batch := self._queue.next_encoded():
            answered = self._computed("search", self._search, batch)
            self._queue.searched()
            for image in answered:
                image.job.missing -= 1
                if not image.job.missing:
                    image.job.finish(image.job, None)
            del batch, answered

    def _encode(self, batch: list[Image]) -> None:
        for image, encoded in zip(batch, self._work.encode([image.pixels for image in batch]), strict=True):
            image.encoded, image.pixels = encoded, ()

    def _search(self, batch: list[Image]) -> None:
        encoded = [image.encoded for image in batch if image.encoded is not None]
        captions = self._work.search(encoded, [image.job.wanted for image in batch])
        for image, caption in zip(batch, captions, strict=True):
            image.job.captions[image.number] = caption

    def _computed(self, stage: str, compute: Callable[[list[Image]], None], batch: list[Image]) -> list[Image]:
        """Computes a batch; if that fails, each job of it alone. Returns the images of jobs without an error."""
        start = time.perf_counter()
        try:
            with self._turn:
                compute(batch)
        except Exception as error:
            jobs = list(dict.fromkeys(image.job for image in batch))
            if len(jobs) == 1:
                jobs[0].finish(jobs[0], error)
                return []
            parts = [[image for image in batch if image.job is job] for job in jobs]
            return [image for part in parts for image in self._computed(stage, compute, part)]
        seconds = time.perf_counter() - start
        before = self._seconds[stage]
        self._seconds[stage] = before + (_SMOOTHING if before else 1.0) * (seconds / len(batch) - before)
        if self.observe is not None:
            with contextlib.suppress(Exception):  # nobody would answer requests without this thread
                self.observe(stage, len(batch), seconds)
        return batch


def _resolve(result: "asyncio.Future[list[Any]]", job: Job, error: Exception | None) -> None:
    if result.done():
        return
    if error is None:
        result.set_result(job.captions)
    else:
        result.set_exception(error)
