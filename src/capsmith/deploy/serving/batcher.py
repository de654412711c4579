"""Dynamic batches: images of requests in flight are encoded together, and searched together if they want the same.

Two threads work at the same time, one for the CNN and one for the search; each takes what has gathered while it was
busy, so batches grow with the load, and a single request does not wait.
"""

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from capsmith.core.errors import CapsmithError
from capsmith.deploy.serving.batch_work import BatchWork, Rows, Wanted

Observer = Callable[[str, int, float], None]
"""Told about each batch, by the thread that computed it: ``encode`` or ``search``, images, seconds."""

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


class _Job:
    """The images of one call of ``caption``."""

    def __init__(self, count: int, wanted: Wanted) -> None:
        self.wanted = wanted
        self.loop = asyncio.get_running_loop()
        self.result: asyncio.Future[list[Any]] = self.loop.create_future()
        self.captions: list[Any] = [None] * count
        self.missing = count
        self.ended = False  # failed or cancelled: what is left of it need not be computed


class _Image:
    """An image that waits for the CNN, and then for the search."""

    def __init__(self, job: _Job, number: int, pixels: Sequence[np.ndarray]) -> None:
        self.job, self.number = job, number
        self.pixels: Sequence[np.ndarray] | None = pixels
        self.rows: Rows | None = None


class Batcher:
    """Runs a captioner for many requests at once. Captions do not depend on what they were batched with.

    Args:
        captioner: A captioner, which only this batcher calls.
        name: Its name in messages and in the names of threads.
        max_batch: Most images that are encoded or searched at once.
        max_wait: Seconds that an idle model waits for images that are being uploaded, see ``expecting``.
        max_queue: Most images that are accepted and not yet answered.
        padded: Fill batches up to a few sizes, for which Keras compiles its functions.
        observe: Called after each batch.
    """

    def __init__(
        self,
        captioner: Any,
        name: str = "",
        max_batch: int = 16,
        max_wait: float = 0.004,
        max_queue: int = 64,
        padded: bool = False,
        observe: Observer | None = None,
    ) -> None:
        self.captioner, self.name = captioner, name
        self.max_batch, self.max_wait, self.max_queue = max_batch, max_wait, max_queue
        self.observe = observe
        self._work = BatchWork(captioner, padded)
        self._changed = threading.Condition()
        self._pixels: deque[_Image] = deque()
        self._encoded: deque[_Image] = deque()
        self._active = {"encode": 0, "search": 0}  # images that are computed now
        self._seconds = {"encode": 0.0, "search": 0.0}  # for an image, a moving mean
        self._expected = 0
        self._closing = self._all_encoded = False
        self._threads = [
            threading.Thread(target=run, name=f"{stage} {name}", daemon=True)
            for stage, run in (("encode", self._encode_all), ("search", self._search_all))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Number of images that were accepted and not yet answered."""
        with self._changed:
            return self._waiting()

    def _waiting(self) -> int:
        return len(self._pixels) + len(self._encoded) + sum(self._active.values())

    @contextmanager
    def expecting(self) -> Iterator[None]:
        """Announces a request that is being uploaded or decoded, for which an idle model waits a few milliseconds."""
        with self._changed:
            self._expected += 1
        try:
            yield
        finally:
            with self._changed:
                self._expected -= 1
                self._changed.notify_all()

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
        job = _Job(len(pixels), Wanted(decoding, details, attention))
        if not pixels:
            return []
        self._accept([_Image(job, number, image) for number, image in enumerate(pixels)])
        try:
            return await job.result
        finally:
            if job.missing:
                self._drop(job)

    async def close(self) -> None:
        """Finishes what was accepted, then ends the threads."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    # --- the queues --------------------------------------------------------------------------------------------------

    def _accept(self, images: list[_Image]) -> None:
        with self._changed:
            if self._closing:
                raise Closed("the service is being stopped")
            waiting = self._waiting()
            if waiting and waiting + len(images) > self.max_queue:
                retry = min(_LONGEST_RETRY, max(1.0, waiting * max(self._seconds.values())))
                raise Overloaded(f"{waiting} images wait for {self.name or 'the model'}", math.ceil(retry))
            self._pixels.extend(images)
            self._changed.notify_all()

    def _drop(self, job: _Job) -> None:
        """Frees the places of a job."""
        with self._changed:
            job.ended = True
            self._pixels = deque(image for image in self._pixels if image.job is not job)
            self._encoded = deque(image for image in self._encoded if image.job is not job)
            self._changed.notify_all()

    def _next_pixels(self) -> list[_Image]:
        """Returns the next images for the CNN, once there are any; none when all work is done."""
        with self._changed:
            self._active["encode"] = 0
            idle = not self._pixels
            while not self._pixels and not self._closing:
                self._changed.wait()
            if idle:
                self._gather()
            batch = [self._pixels.popleft() for _ in range(min(self.max_batch, len(self._pixels)))]
            self._active["encode"] = len(batch)
            return batch

    def _gather(self) -> None:
        """Waits a moment for requests that are being uploaded."""
        end = time.monotonic() + self.max_wait
        while self._expected and len(self._pixels) < self.max_batch and not self._closing:
            if (left := end - time.monotonic()) <= 0:
                return
            self._changed.wait(left)

    def _next_encoded(self) -> list[_Image]:
        """Returns the next images for the search, all with the same settings; none when all work is done."""
        with self._changed:
            self._active["search"] = 0
            self._changed.notify_all()
            while not self._encoded and not self._all_encoded:
                self._changed.wait()
            batch: list[_Image] = []
            others: deque[_Image] = deque()
            for image in self._encoded:
                same = not batch or image.job.wanted.decoding == batch[0].job.wanted.decoding
                (batch if same and len(batch) < self.max_batch else others).append(image)
            self._encoded = others
            self._active["search"] = len(batch)
            return batch

    def _pass_on(self, images: list[_Image]) -> None:
        """Hands encoded images to the search, and waits if it is far behind, which bounds the memory of features."""
        with self._changed:
            self._active["encode"] = 0
            self._encoded.extend(image for image in images if not image.job.ended)
            self._changed.notify_all()
            while len(self._encoded) > 2 * self.max_batch:
                self._changed.wait()

    # --- the two threads ---------------------------------------------------------------------------------------------

    def _encode_all(self) -> None:
        while batch := self._next_pixels():
            self._pass_on(self._computed("encode", self._encode, batch))
            del batch
        with self._changed:
            self._all_encoded = True
            self._changed.notify_all()

    def _search_all(self) -> None:
        while batch := self._next_encoded():
            _answer(self._computed("search", self._search, batch))
            del batch

    def _encode(self, batch: list[_Image]) -> None:
        for image, rows in zip(batch, self._work.encode([_given(image.pixels) for image in batch]), strict=True):
            image.rows, image.pixels = rows, None

    def _search(self, batch: list[_Image]) -> None:
        captions = self._work.search([_given(image.rows) for image in batch], [image.job.wanted for image in batch])
        for image, caption in zip(batch, captions, strict=True):
            image.job.captions[image.number] = caption

    def _computed(self, stage: str, compute: Callable[[list[_Image]], None], batch: list[_Image]) -> list[_Image]:
        """Computes a batch; if that fails, each job of it alone. Returns the images of jobs without an error."""
        start = time.perf_counter()
        try:
            compute(batch)
        except Exception as error:
            jobs = list(dict.fromkeys(image.job for image in batch))
            if len(jobs) == 1:
                _fail(jobs[0], error)
                return []
            parts = [[image for image in batch if image.job is job] for job in jobs]
            return [image for part in parts for image in self._computed(stage, compute, part)]
        seconds = time.perf_counter() - start
        before = self._seconds[stage]
        self._seconds[stage] = before + (_SMOOTHING if before else 1.0) * (seconds / len(batch) - before)
        if self.observe is not None:
            self.observe(stage, len(batch), seconds)
        return batch


def _given(value: Any) -> Any:
    if value is None:
        raise RuntimeError("an image has left its stage twice")
    return value


def _answer(batch: list[_Image]) -> None:
    for image in batch:
        image.job.missing -= 1
        if not image.job.missing:
            _resolve(image.job, None)


def _fail(job: _Job, error: Exception) -> None:
    job.ended = True
    _resolve(job, error)


def _resolve(job: _Job, error: Exception | None) -> None:
    def resolve() -> None:
        if job.result.done():
            return
        if error is None:
            job.result.set_result(job.captions)
        else:
            job.result.set_exception(error)

    with suppress(RuntimeError):  # the event loop has ended
        job.loop.call_soon_threadsafe(resolve)
