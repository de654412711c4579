"""Decodes images in threads, in order, and gathers them in batches of one size.

B images in a batch.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

_AHEAD = 3  # batches that are decoded ahead

Item = TypeVar("Item")


class Decoded(NamedTuple, Generic[Item]):
    """An image after decoding.

    Attributes:
        item: What was decoded.
        pixels: The pixels (H, W, 3) in each size; None if it cannot be read, or need not be encoded.
        about: What else is known about it, such as an error.
    """

    item: Item
    pixels: Sequence[np.ndarray] | None
    about: Any = None


@dataclass
class Batch(Generic[Item]):
    """Images in order, of which those with pixels are encoded together.

    Attributes:
        images: The images.
        features: Features of those that have pixels, in order, and possibly more: batches are filled up.
    """

    images: list[Decoded[Item]] = field(default_factory=list)
    features: Any = None

    @property
    def readable(self) -> list[Sequence[np.ndarray]]:
        """The pixels of the images that have any."""
        return [image.pixels for image in self.images if image.pixels is not None]

    def encode(self, encode: Callable[..., Any], size: int) -> "Batch[Item]":
        """Sets the features, and forgets the pixels.

        A batch with fewer images is filled up to ``size``: the network is compiled once, and the features of an image
        do not depend on the number of images.
        """
        if pixels := self.readable:
            filled = [*pixels, *[pixels[-1]] * (size - len(pixels))]
            self.features = encode(*(np.stack(part) for part in zip(*filled, strict=True)))
            self.images = [one if one.pixels is None else one._replace(pixels=()) for one in self.images]
        return self


def decoded_batches(
    items: Iterable[Item], decode: Callable[[Item], Decoded[Item]], size: int, workers: int, stop: threading.Event
) -> Iterator[Batch[Item]]:
    """Yields batches with ``size`` images to encode each; others stand between them.

    Args:
        items: The images.
        decode: Decodes one, in a thread.
        size: Images with pixels in a batch.
        workers: Number of threads.
        stop: Ends the work.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    pending: deque[Future[Decoded[Item]]] = deque()
    batch: Batch[Item] = Batch()
    count = 0
    left = iter(items)
    end = object()
    try:
        while not stop.is_set():
            while len(pending) < _AHEAD * size and (item := next(left, end)) is not end:
                pending.append(pool.submit(decode, item))  # type: ignore[arg-type]
            if not pending:
                break
            image = pending.popleft().result()
            batch.images.append(image)
            count += image.pixels is not None
            if count == size or len(batch.images) >= 4 * size:  # many unreadable images are a batch too
                yield batch
                batch, count = Batch(), 0
        if batch.images:
            yield batch
    finally:
        pool.shutdown(cancel_futures=True)
