"""Vectors of photographs in batches. Those that cannot be read are results, not errors.

B images in a batch · d dimensions.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from capsmith.core.errors import ImageError
from capsmith.retrieval.embedder import Embedder
from capsmith.vision.images import ImageSource, load_sizes

BATCH = 16


class PhotoVector(NamedTuple):
    """The result for one photograph.

    Attributes:
        path: The file.
        vector: Its unit vector (d,); None if it cannot be read.
        error: The reason in that case.
    """

    path: Path
    vector: np.ndarray | None = None
    error: ImageError | None = None


def image_vector(embedder: Embedder, image: ImageSource) -> np.ndarray:
    """Returns the unit vector (d,) of one image.

    Raises:
        ImageError: The image cannot be read.
    """
    pixels = [part[None] for part in _pixels(embedder, image)]
    vector: np.ndarray = embedder.embed_features(embedder.encode(*pixels))[0]
    return vector


def photo_vectors(embedder: Embedder, paths: Sequence[Path], batch: int = BATCH) -> Iterator[PhotoVector]:
    """Yields the vectors of files in their order.

    Args:
        embedder: The joint embedding.
        paths: The files.
        batch: B. Every batch has this size, so that a network is compiled once; the last one is filled up.
    """
    size = min(batch, len(paths))
    for first in range(0, len(paths), max(size, 1)):
        results: list[PhotoVector] = []
        pixels: list[list[np.ndarray]] = []
        for path in paths[first : first + size]:
            try:
                pixels.append(_pixels(embedder, path))
                results.append(PhotoVector(path))
            except ImageError as error:
                results.append(PhotoVector(path, error=error))
        vectors: Iterator[np.ndarray] = iter(())
        if pixels:
            filled = pixels + [pixels[-1]] * (size - len(pixels))
            vectors = iter(embedder.embed_features(embedder.encode(*map(np.stack, zip(*filled, strict=True)))))
        yield from (one if one.error else one._replace(vector=next(vectors)) for one in results)


def _pixels(embedder: Embedder, image: ImageSource) -> list[np.ndarray]:
    return load_sizes(image, embedder.image_sizes, framing=embedder.framing)
