"""Captions of many images, in order: decoding in threads, the CNN, and the search run at the same time.

Three stages are connected by short queues, so memory does not grow with the number of images:

    decode (a pool of threads) → encode (one thread, batches) → search (one thread, batches) → the caller

Pillow, NumPy and onnxruntime release Python's lock while they compute. Every batch has the same size: the last one is
filled up. The network is therefore compiled once, and a caption does not depend on the number of images.

B images in a batch.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from capsmith.core.errors import ImageError
from capsmith.vision.images import load_image

BATCH, KERAS_BATCH = 16, 32
"""Images that are encoded and searched at once: few stay in a processor's cache, but calls of Keras are expensive."""
_QUEUED = 2  # batches that wait between two stages
_AHEAD = 3  # batches that are decoded ahead
_POLL = 0.1  # seconds after which a waiting stage looks whether the pipeline was stopped


class ImageCaptioner(Protocol):
    """What the pipeline needs of a captioner: ``models.Captioner``, for a run or an export."""

    @property
    def image_sizes(self) -> list[tuple[int, int]]:
        """Height and width of the pixels that each different encoder takes."""

    def encode(self, *pixels: np.ndarray) -> Any:
        """Returns the features of pixels, for each different encoder one array (B, H, W, 3)."""

    def caption_features(self, features: Any, decoding: Any = None, **settings: Any) -> Sequence[Any]:
        """Returns the captions of features."""


class Captioned(NamedTuple):
    """The result for one image.

    Attributes:
        path: The image.
        caption: A ``Caption``; None if the image cannot be read.
        error: The reason in that case.
    """

    path: Path
    caption: Any = None
    error: ImageError | None = None


@dataclass
class _Batch:
    results: list[Captioned]
    pixels: list[list[np.ndarray]]
    features: Any = None


def caption_images(
    captioner: ImageCaptioner,
    paths: Sequence[Path],
    decoding: Any = None,
    workers: int = 2,
    batch_size: int | None = None,
    overlap: bool = True,
) -> Iterator[Captioned]:
    """Captions images and yields the results in the order of ``paths``.

    Args:
        captioner: A captioner.
        paths: The images.
        decoding: The search; by default that of the captioner's config.
        workers: Threads that decode images.
        batch_size: Images that are encoded and searched at once; by default 16, without ``overlap`` 32.
        overlap: Search in a thread of its own. Without it, one thread encodes and searches in turn.

    Raises:
        ConfigError, CapsmithError: As ``Captioner.caption``; images that cannot be read are results, not errors.
    """
    if not paths:
        return
    size = min(batch_size or (BATCH if overlap else KERAS_BATCH), len(paths))
    stop = threading.Event()
    searched: queue.Queue[Any] = queue.Queue(_QUEUED)
    encode, search = _encoder(captioner, size), _searcher(captioner, decoding)

    def batches() -> Iterator[_Batch]:
        return _decoded(paths, captioner.image_sizes, size, workers, stop)

    threads = []
    if overlap:
        encoded: queue.Queue[Any] = queue.Queue(_QUEUED)
        threads.append(_stage("encode", lambda: map(encode, batches()), encoded, stop))
        threads.append(_stage("search", lambda: map(search, _items(encoded, stop)), searched, stop))
    else:
        threads.append(_stage("encode", lambda: (search(encode(batch)) for batch in batches()), searched, stop))
    try:
        for batch in _items(searched, stop):
            yield from batch.results
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _decoded(
    paths: Sequence[Path], sizes: Sequence[tuple[int, int]], count: int, workers: int, stop: threading.Event
) -> Iterator[_Batch]:
    """Yields batches with ``count`` readable images each; unreadable ones stand between them."""

    def load(path: Path) -> list[np.ndarray] | ImageError:
        try:
            return [load_image(path, size) for size in sizes]
        except ImageError as error:
            return error

    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    pending: deque[tuple[Path, Future[list[np.ndarray] | ImageError]]] = deque()
    batch = _Batch([], [])
    left = iter(paths)
    try:
        while not stop.is_set():
            while len(pending) < _AHEAD * count and (path := next(left, None)) is not None:
                pending.append((path, pool.submit(load, path)))
            if not pending:
                break
            path, future = pending.popleft()
            pixels = future.result()
            if isinstance(pixels, ImageError):
                batch.results.append(Captioned(path, error=pixels))
            else:
                batch.results.append(Captioned(path))
                batch.pixels.append(pixels)
            if len(batch.pixels) == count or len(batch.results) >= 4 * count:  # many unreadable images are a batch too
                yield batch
                batch = _Batch([], [])
        if batch.results:
            yield batch
    finally:
        pool.shutdown(cancel_futures=True)


def _encoder(captioner: ImageCaptioner, size: int) -> Callable[[_Batch], _Batch]:
    def encode(batch: _Batch) -> _Batch:
        if batch.pixels:
            filled = batch.pixels + [batch.pixels[-1]] * (size - len(batch.pixels))
            batch.features = captioner.encode(*(np.stack(part) for part in zip(*filled, strict=True)))
        return batch

    return encode


def _searcher(captioner: ImageCaptioner, decoding: Any) -> Callable[[_Batch], _Batch]:
    def search(batch: _Batch) -> _Batch:
        if batch.pixels:
            captions = iter(
                _with_domain(captioner, batch.features, captioner.caption_features(batch.features, decoding))
            )
            batch.results = [one if one.error else one._replace(caption=next(captions)) for one in batch.results]
        batch.pixels, batch.features = [], None
        return batch

    return search


def _with_domain(captioner: Any, features: Any, captions: Sequence[Any]) -> Sequence[Any]:
    """Returns captions with the distance of each image from the training images, if the captioner knows them."""
    domain = getattr(captioner, "domain", None)
    if domain is None:
        return captions
    checks = domain.check(features.parts[0] if hasattr(features, "parts") else features)
    return [replace(caption, domain=check) for caption, check in zip(captions, checks, strict=True)]


# --- stages -----------------------------------------------------------------------------------------------------------


class _Failed(NamedTuple):
    error: BaseException


_END = object()


def _stage(
    name: str, make: Callable[[], Iterator[Any]], target: "queue.Queue[Any]", stop: threading.Event
) -> threading.Thread:
    """Starts a thread that puts the items of an iterator into a queue, then an end or the error."""

    def run() -> None:
        last: Any = _END
        items: Iterator[Any] | None = None
        try:
            items = make()
            for item in items:
                if not _put(target, item, stop):
                    return
        except BaseException as error:  # raised again in the thread that takes it from the queue
            last = _Failed(error)
        finally:
            items = None
            _put(target, last, stop)

    thread = threading.Thread(target=run, name=f"capsmith-{name}", daemon=True)
    thread.start()
    return thread


def _put(target: "queue.Queue[Any]", item: Any, stop: threading.Event) -> bool:
    while not stop.is_set():
        with suppress(queue.Full):
            target.put(item, timeout=_POLL)
            return True
    return False


def _items(source: "queue.Queue[Any]", stop: threading.Event) -> Iterator[Any]:
    while not stop.is_set():
        try:
            item = source.get(timeout=_POLL)
        except queue.Empty:
            continue
        if item is _END:
            return
        if isinstance(item, _Failed):
            raise item.error
        yield item
