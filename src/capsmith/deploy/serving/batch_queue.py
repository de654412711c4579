"""The images that wait for a model: first for the CNN, then for the search. Safe for threads."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from capsmith.deploy.serving.batch_work import Encoded, Wanted

_FEW_ROWS = 400
"""Hypotheses that are searched at once, unless one image has more: others should not wait long for their turn."""
IDLE, _PATIENCE = 1.0, 20
"""Seconds without work after which a size is compiled, which takes as long as several requests; and batches after which
it is compiled in any case."""


class Job:
    """The images of one call.

    Args:
        pixels: For each image one array for each encoder.
        wanted: What to do with them.
        finish: Called once, by any thread, with the job and an error or None.
        is_alone: Its images form a batch of their own.
        images_at_once: Most of its images in one batch of the search, given ``max_batch``.
    """

    def __init__(
        self,
        pixels: Sequence[Sequence[np.ndarray]],
        wanted: Wanted,
        finish: "Callable[[Job, Exception | None], None]",
        is_alone: bool = False,
        images_at_once: int = _FEW_ROWS,
    ) -> None:
        self.wanted, self.finish, self.is_alone, self.images_at_once = wanted, finish, is_alone, images_at_once
        self.captions: list[Any] = [None] * len(pixels)
        self.missing = len(pixels)
        self.images = [Image(self, number, image) for number, image in enumerate(pixels)]

    def joins(self, other: "Job") -> bool:
        """Returns whether its images and those of another job can be searched together."""
        return self is other or (
            self.wanted.decoding == other.wanted.decoding and not self.is_alone and not other.is_alone
        )


class Image:
    """One image of a job, with its pixels until it is encoded, then with its features."""

    def __init__(self, job: Job, number: int, pixels: Sequence[np.ndarray]) -> None:
        self.job, self.number = job, number
        self.pixels = pixels
        self.encoded: Encoded | None = None


class BatchQueue:
    """Two queues between the event loop and the threads of a batcher.

    Args:
        max_batch: Most images in a batch.
        max_wait: Seconds that an idle CNN waits for announced images.

    Attributes:
        limit: Most images in a batch now.
    """

    def __init__(self, max_batch: int, max_wait: float) -> None:
        self.limit, self._max_wait = max_batch, max_wait
        self._expected = 0  # requests that are being uploaded
        self._rare: deque[Job] = deque()
        self._changed = threading.Condition()
        self._pixels: deque[Image] = deque()
        self._encoded: deque[Image] = deque()
        self._encoding = self._searching = 0
        self._last: Job | None = None  # searched
        self._since_rare, self._idle_since = 0, 0.0
        self._closed = self._all_encoded = False

    @property
    def waiting(self) -> int:
        """Number of images that were accepted and are not finished."""
        with self._changed:
            return len(self._pixels) + len(self._encoded) + self._encoding + self._searching

    def accept(self, job: Job, most: int | None = None) -> int | None:
        """Adds the images of a job.

        Args:
            job: The job.
            most: Images that may wait; an empty queue accepts any number.

        Returns:
            None; or, if the job was not accepted, the number of images that wait, -1 if the queue is closed.
        """
        with self._changed:
            waiting = len(self._pixels) + len(self._encoded) + self._encoding + self._searching
            if self._closed:
                return -1
            if most is not None and waiting and waiting + len(job.images) > most:
                return waiting
            self._pixels.extend(job.images)
            self._changed.notify_all()
            return None

    def drop(self, job: Job) -> None:
        """Removes what waits of a job."""
        with self._changed:
            self._pixels = deque(image for image in self._pixels if image.job is not job)
            self._encoded = deque(image for image in self._encoded if image.job is not job)
            self._changed.notify_all()

    def expect(self, change: int) -> None:
        """Changes the number of requests that are being uploaded."""
        with self._changed:
            self._expected += change
            self._changed.notify_all()

    def set_limit(self, limit: int) -> None:
        """Changes the largest size of a batch."""
        with self._changed:
            self.limit = limit
            self._changed.notify_all()

    def add_rare(self, jobs: Iterable[Job]) -> None:
        """Adds jobs to do when there is nothing else, or after some batches."""
        with self._changed:
            self._rare.extend(jobs)
            self._changed.notify_all()

    def close(self) -> None:
        """Accepts no more images."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    # --- for the thread of the CNN -----------------------------------------------------------------------------------

    def next_pixels(self) -> list[Image]:
        """Waits for images, and returns a batch of them; an empty one after the last image."""
        with self._changed:
            while True:
                is_idle, self._idle_since = not self._pixels, time.monotonic()
                while not (self._pixels or self._closed or self._rare_now()):
                    self._changed.wait(IDLE if self._rare else None)
                if self._rare_now():
                    self._since_rare = 0
                    batch = self._rare.popleft().images
                else:
                    if is_idle:
                        self._gather()
                    batch = [self._pixels.popleft() for _ in range(min(self.limit, len(self._pixels)))]
                    self._since_rare += 1
                if batch or self._closed:  # all images may have been dropped meanwhile
                    self._encoding = len(batch)
                    return batch

    def _rare_now(self) -> bool:
        if not self._rare or self._closed:
            return False
        idle = not self._pixels and time.monotonic() - self._idle_since >= IDLE
        return idle or self._since_rare >= _PATIENCE

    def _gather(self) -> None:
        end = time.monotonic() + self._max_wait
        while self._expected > 0 and len(self._pixels) < self.limit and not self._closed:
            if (left := end - time.monotonic()) <= 0:
                return
            self._changed.wait(left)

    def pass_on(self, images: Sequence[Image], taken: int) -> None:
        """Hands encoded images to the search; waits while it is far behind, which bounds the memory of features.

        Args:
            images: The images.
            taken: Number of images of the batch that are finished, failed ones included.
        """
        with self._changed:
            self._encoding -= taken
            self._encoded.extend(images)
            self._changed.notify_all()
            while len(self._encoded) > 2 * self.limit:
                self._changed.wait()

    def end(self) -> None:
        """Declares that no more images will be encoded."""
        with self._changed:
            self._all_encoded = True
            self._changed.notify_all()

    # --- for the thread of the search --------------------------------------------------------------------------------

    def next_encoded(self) -> list[Image]:
        """Waits for encoded images, and returns a batch that wants the same; an empty one after the last image.

        Different searches take turns, so that an expensive one does not keep the others waiting.
        """
        with self._changed:
            while not (self._encoded or self._all_encoded):
                self._changed.wait()
            if not self._encoded:
                return []
            last = self._last
            first = next((one.job for one in self._encoded if last is None or not one.job.joins(last)), None)
            first = self._encoded[0].job if first is None else first
            size = min(len(first.images) if first.is_alone else self.limit, first.images_at_once)
            batch: list[Image] = []
            others: deque[Image] = deque()
            for image in self._encoded:
                (batch if len(batch) < size and image.job.joins(first) else others).append(image)
            self._encoded, self._last, self._searching = others, first, len(batch)
            self._changed.notify_all()
            return batch

    def searched(self) -> None:
        """Declares the batch of the search finished."""
        with self._changed:
            self._searching = 0


def images_at_once(decoding: Any) -> int:
    """Returns how many images of a search may be searched together, so that no batch takes long."""
    rows = max(1, *decoding.all_rows.values()) if getattr(decoding, "all_rows", None) else 1
    banks = 1 + sum(len(word.split()) for word in getattr(decoding, "include", ()))
    return max(1, _FEW_ROWS // (rows * banks))
