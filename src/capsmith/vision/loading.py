"""Image files decoded by a pool of threads: results come in order, and only a bounded number is held ahead of use."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import repeat
from pathlib import Path

import numpy as np

from capsmith.core.errors import ImageError
from capsmith.vision.cached_crops import Crop
from capsmith.vision.images import load_image

_PREFETCH_PER_WORKER = 4


def load_images(
    paths: Iterable[Path],
    size: tuple[int, int],
    workers: int,
    prefetch: int | None = None,
    crops: Iterable[Crop | None] | None = None,
) -> Iterator[np.ndarray | ImageError]:
    """Yields the pixels of each image file, in order, while threads decode the following ones.

    Args:
        paths: Image files.
        size: Height and width of the result in pixels.
        workers: Number of decoding threads, at least 1.
        prefetch: Number of images that may be decoded before they are consumed; by default four per worker.
        crops: One crop for each image, or None for the complete image.

    Yields:
        (H, W, 3) uint8, or the error of an image that cannot be read.
    """
    limit = _PREFETCH_PER_WORKER * workers if prefetch is None else prefetch
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    pending: deque[Future[np.ndarray | ImageError]] = deque()
    try:
        for path, crop in zip(paths, repeat(None) if crops is None else crops, strict=crops is not None):
            pending.append(pool.submit(_load, path, size, crop))
            if len(pending) > limit:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _load(path: Path, size: tuple[int, int], crop: Crop | None) -> np.ndarray | ImageError:
    try:
        return load_image(path, size, crop=crop)
    except ImageError as error:
        return error
