"""Decodes image files in threads: the loader shared by extraction, training on pixels, and `capsmith inspect`."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np

from capsmith.core.errors import ImageError
from capsmith.vision.cached_crops import Crop
from capsmith.vision.image_files import open_image
from capsmith.vision.images import load_image, opened_pixels

K = TypeVar("K")
PREFETCH = 128
"""Images decoded in advance, unless the caller specifies another number."""


def load_images(
    images: Iterable[tuple[K, Path | Callable[[], bytes]]],
    size: tuple[int, int],
    workers: int,
    prefetch: int = PREFETCH,
    crop: Callable[[K], Crop | None] | None = None,
    name: Callable[[K], str] = str,
) -> Iterator[tuple[K, np.ndarray | ImageError]]:
    """Decodes images in threads and yields them in order.

    Args:
        images: A key, and a path or a function that returns the bytes of the file; the key is yielded with the pixels.
        size: Height and width of the result in pixels.
        workers: Number of threads.
        prefetch: Maximum number of images that are decoded before the caller requests them.
        crop: Returns the crop of the image with a given key; None loads complete images.
        name: Returns the name for messages of an image that is not a path.

    Yields:
        The key, and uint8 pixels (H, W, 3) or the error for an image that cannot be read.
    """

    def load(key: K, source: Path | Callable[[], bytes]) -> np.ndarray | ImageError:
        region = None if crop is None else crop(key)
        try:
            if isinstance(source, Path):
                return load_image(source, size, crop=region)
            with open_image(source(), name(key)) as image:
                return opened_pixels(image, size, name(key), region)
        except ImageError as error:
            return error

    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    pending: deque[tuple[K, Future[np.ndarray | ImageError]]] = deque()
    try:
        for key, source in images:
            pending.append((key, pool.submit(load, key, source)))
            if len(pending) > prefetch:
                first, future = pending.popleft()
                yield first, future.result()
        while pending:
            first, future = pending.popleft()
            yield first, future.result()
    finally:
        pool.shutdown(cancel_futures=True)
