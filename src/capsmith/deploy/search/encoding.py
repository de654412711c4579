"""Vectors of many images, in order: threads read and decode while the network computes.

    read, hash, decode (a pool of threads) → encode (one thread, batches) → the caller

A file is read once: its bytes are hashed, and decoded unless their vectors are known. Semantic and visual vectors come
from one pass of the network.
"""

import hashlib
import queue
import threading
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from capsmith.core.errors import ImageError
from capsmith.deploy.folder.decoding import Batch, Decoded, decoded_batches
from capsmith.deploy.folder.journal import Stamp
from capsmith.deploy.folder.selection import Item
from capsmith.deploy.folder.stages import QUEUED, items_of, stage
from capsmith.retrieval.embedder import Embedder
from capsmith.vision.image_files import read_image
from capsmith.vision.images import load_sizes
from capsmith.vision.near_duplicates import SIDE, difference_hash


@dataclass(frozen=True)
class Encoded:
    """What is known about an image.

    Attributes:
        item: The image.
        hash: SHA-256 of the file; None if it cannot be read.
        look: Hash of its look; 0 if its content is known.
        vectors: Semantic and visual vector; None if its content is known.
        error: Why it cannot be read.
        stamp: Size and time of the file when it was read, if the reader knows.
    """

    item: Item
    hash: bytes | None = None
    look: int = 0
    vectors: tuple[np.ndarray, np.ndarray] | None = None
    error: ImageError | None = None
    stamp: Stamp | None = None


def look_of(pixels: np.ndarray) -> int:
    """Returns a hash of 64 bits that near-duplicates nearly share, of pixels (H, W, 3)."""
    small = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BOX)
    return difference_hash(np.asarray(small))


def vectors_of(embedder: Embedder, features: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the semantic vectors (N, d) and the visual vectors (N, v) of the first N images of a batch."""
    return embedder.embed_features(features)[:count], embedder.visual_vectors(features)[:count]


def encode_images(
    embedder: Embedder,
    items: Sequence[Item],
    known: Collection[bytes],
    workers: int,
    batch_size: int,
    prepare: Callable[[], None] | None = None,
    fill: bool = False,
) -> Generator[list[Encoded], None, None]:
    """Yields the vectors of images in batches, in order.

    Args:
        embedder: The model.
        items: The images.
        known: Hashes of contents whose vectors are known: those are not encoded.
        workers: Threads that decode.
        batch_size: Images that are encoded at once.
        prepare: Called before the first image is encoded, if any is: it may import Keras.
        fill: Batches are filled up even if there are fewer images: their vectors are then those that they have among
            more, to the last bit.
    """
    size = batch_size if fill else min(batch_size, len(items))
    stop = threading.Event()
    finished: queue.Queue[list[Encoded]] = queue.Queue(QUEUED)
    begin = [prepare] if prepare else []
    lock = threading.Lock()
    known_sizes: list[Sequence[tuple[int, int]]] = []

    def sizes() -> Sequence[tuple[int, int]]:
        with lock:  # once: some models have to load their encoders to know it
            if not known_sizes:
                known_sizes.append(embedder.image_sizes)
        return known_sizes[0]

    def decode(item: Item) -> Decoded[Item]:
        try:
            data = read_image(item.path, str(item.path))
            hash = hashlib.sha256(data).digest()
            if hash in known:
                return Decoded(item, None, Encoded(item, hash))
            pixels = load_sizes(data, sizes(), str(item.path), framing=embedder.framing)
        except ImageError as error:
            return Decoded(item, None, Encoded(item, error=error))
        return Decoded(item, pixels, Encoded(item, hash, look_of(pixels[0])))

    def encode(batch: Batch[Item]) -> list[Encoded]:
        count = len(batch.readable)
        if not count:
            return [image.about for image in batch.images]
        while begin:
            begin.pop()()
        features = batch.encode(embedder.encode, size).features
        vectors = zip(*vectors_of(embedder, features, count), strict=True)
        return [_with(image.about, None if image.pixels is None else next(vectors)) for image in batch.images]

    def encoded() -> Iterator[list[Encoded]]:
        return map(encode, decoded_batches(items, decode, size, workers, stop))

    thread = stage("encode", encoded, finished, stop)
    try:
        yield from items_of(finished, stop)
    finally:
        stop.set()
        thread.join()


def _with(image: Encoded, vectors: tuple[np.ndarray, np.ndarray] | None) -> Encoded:
    if vectors is not None and not all(np.isfinite(part).all() for part in vectors):
        return Encoded(image.item, error=ImageError(f"{image.item.path}: the model has no vectors for it (NaN)"))
    return Encoded(image.item, image.hash, image.look, vectors, image.error)
