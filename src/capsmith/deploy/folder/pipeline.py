"""Captions of many images, in order: decoding in threads, the CNN, and the search run at the same time.

Three stages are connected by short queues, so memory does not grow with the number of images:

    decode (a pool of threads) → encode (one thread, batches) → search (one thread, batches) → the caller

Pillow, NumPy and onnxruntime release Python's lock while they compute. Every batch has the same size: the last one is
filled up. The network is therefore compiled once, and a caption does not depend on the number of images.

B images in a batch.
"""

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence, Sized
from dataclasses import replace
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np

from capsmith.core.errors import ImageError
from capsmith.deploy.folder.decoding import Batch, Decoded, decoded_batches
from capsmith.deploy.folder.stages import QUEUED, items_of, stage
from capsmith.vision.images import ImageSource, load_sizes

Item = TypeVar("Item")
Source = Callable[[Any], tuple[ImageSource, str | None]]
"""Returns an image, and its name in messages, by default that of the image; it may read a file and raise ImageError."""

BATCH, KERAS_BATCH = 16, 32
"""Images that are encoded and searched at once: few stay in a processor's cache, but calls of Keras are expensive."""


class ImageCaptioner(Protocol):
    """What the pipeline needs of a captioner: ``models.Captioner``, for a run or an export."""

    @property
    def image_sizes(self) -> list[tuple[int, int]]:
        """Height and width of the pixels that each different encoder takes."""

    def encode(self, *pixels: np.ndarray) -> Any:
        """Returns the features of pixels, for each different encoder one array (B, H, W, 3)."""

    def caption_features(self, features: Any, decoding: Any = None, **settings: Any) -> Sequence[Any]:
        """Returns the captions of features."""


class Captioned(NamedTuple, Generic[Item]):
    """The result for one image.

    Attributes:
        image: The image, as it was passed.
        caption: A ``Caption``; None if the image cannot be read.
        error: The reason in that case.
    """

    image: Item
    caption: Any = None
    error: ImageError | None = None


def caption_images(
    captioner: ImageCaptioner,
    images: Iterable[Item],
    decoding: Any = None,
    workers: int = 2,
    batch_size: int | None = None,
    overlap: bool = True,
    source: Source | None = None,
) -> Generator[Captioned[Item], None, None]:
    """Captions images and yields the results in the order of ``images``.

    Args:
        captioner: A captioner.
        images: The images: paths, or what ``source`` takes. It is read in another thread, some batches ahead.
        decoding: The search; by default that of the captioner's config.
        workers: Threads that decode images.
        batch_size: Images that are encoded and searched at once; by default 16, without ``overlap`` 32.
        overlap: Search in a thread of its own. Without it, one thread encodes and searches in turn.
        source: Returns an image of ``images`` as a path or as bytes, in a decoding thread; None: they are paths.

    Raises:
        ConfigError, CapsmithError: As ``Captioner.caption``; images that cannot be read are results, not errors.
    """
    if getattr(captioner, "reads_files", False):
        yield from _one_by_one(captioner, images, decoding, source)
        return
    size = batch_size or (BATCH if overlap else KERAS_BATCH)
    if isinstance(images, Sized):
        size = max(1, min(size, len(images)))
    stop = threading.Event()
    searched: queue.Queue[Any] = queue.Queue(QUEUED)
    search = _searcher(captioner, decoding)

    def encoded() -> Iterator[Batch[Item]]:
        for batch in decoded_batches(images, _decoder(captioner.image_sizes, source), size, workers, stop):
            yield batch.encode(captioner.encode, size)

    threads = []
    if overlap:
        waiting: queue.Queue[Any] = queue.Queue(QUEUED)
        threads.append(stage("encode", encoded, waiting, stop))
        threads.append(stage("search", lambda: map(search, items_of(waiting, stop)), searched, stop))
    else:
        threads.append(stage("encode", lambda: map(search, encoded()), searched, stop))
    try:
        for results in items_of(searched, stop):
            yield from results
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _one_by_one(
    captioner: Any, images: Iterable[Item], decoding: Any, source: Source | None
) -> Iterator[Captioned[Item]]:
    """Captions images with a captioner that reads the files itself."""
    for image in images:
        try:
            yield Captioned(image, captioner.caption(source(image)[0] if source else image, decoding))
        except ImageError as error:
            yield Captioned(image, error=error)


def _decoder(sizes: Sequence[tuple[int, int]], source: Source | None) -> Callable[[Item], Decoded[Item]]:
    def decode(image: Item) -> Decoded[Item]:
        try:
            content, name = source(image) if source else (image, None)
            return Decoded(image, load_sizes(content, sizes, name))  # type: ignore[arg-type]
        except ImageError as error:
            return Decoded(image, None, error)

    return decode


def _searcher(captioner: ImageCaptioner, decoding: Any) -> Callable[[Batch[Item]], list[Captioned[Item]]]:
    def search(batch: Batch[Item]) -> list[Captioned[Item]]:
        captions: Iterator[Any] = iter(())
        if batch.features is not None:
            found = captioner.caption_features(batch.features, decoding)
            captions = iter(_with_domain(captioner, batch.features, found))
        return [
            Captioned(one.item, error=one.about) if one.about else Captioned(one.item, next(captions))
            for one in batch.images
        ]

    return search


def _with_domain(captioner: Any, features: Any, captions: Sequence[Any]) -> Sequence[Any]:
    """Returns captions with the distance of each image from the training images, if the captioner knows them."""
    domain = getattr(captioner, "domain", None)
    if domain is None:
        return captions
    checks = domain.check(features.parts[0] if hasattr(features, "parts") else features)
    return [replace(caption, domain=check) for caption, check in zip(captions, checks, strict=True)]
