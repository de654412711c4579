"""Which copies of images a search folds into one hit, and which different images it takes for copies.

    python -m benchmarks.duplicates RUN IMAGES INDEX [--images 40]

Copies are made of some images: compressed, resized, brightened, cropped, mirrored. The control are all pairs of the
images of an index of IMAGES, of which hardly any is a copy of another.
"""

import argparse
import io
import os
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

from capsmith.deploy.folder.selection import select  # noqa: E402
from capsmith.deploy.search import ImageIndex  # noqa: E402
from capsmith.deploy.search.encoding import look_of  # noqa: E402
from capsmith.deploy.search.hits import MAX_BITS, MIN_COSINE  # noqa: E402
from capsmith.models.embedders import load_embedder  # noqa: E402
from capsmith.retrieval.embedder import Embedder  # noqa: E402
from capsmith.vision.images import load_sizes  # noqa: E402

_BATCH = 16


def _jpeg(image: Image.Image, quality: int = 90) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def _scaled(image: Image.Image, factor: float) -> bytes:
    return _jpeg(image.resize((round(image.width * factor), round(image.height * factor))))


def _cropped(image: Image.Image, share: float) -> bytes:
    x, y = round(image.width * share), round(image.height * share)
    return _jpeg(image.crop((x, y, image.width - x, image.height - y)))


COPIES: dict[str, Callable[[Image.Image], bytes]] = {
    "JPEG, quality 95": lambda image: _jpeg(image, 95),
    "JPEG, quality 40": lambda image: _jpeg(image, 40),
    "half the size": lambda image: _scaled(image, 0.5),
    "twice the size": lambda image: _scaled(image, 2),
    "brighter": lambda image: _jpeg(image.point(lambda value: value * 1.1 + 5)),
    "3 % cut off each side": lambda image: _cropped(image, 0.03),
    "10 % cut off each side": lambda image: _cropped(image, 0.1),
    "mirrored": lambda image: _jpeg(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
}


def main() -> None:
    """Prints the share of copies that are folded, and the number of pairs of an index that are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("folder", type=Path, metavar="IMAGES")
    parser.add_argument("index", type=Path)
    parser.add_argument("--images", type=int, default=40)
    args = parser.parse_args()
    embedder = load_embedder([args.run])
    paths = random.Random(3).sample(select([args.folder]).paths, args.images)
    own = described(embedder, [path.read_bytes() for path in paths])
    for name, copy in COPIES.items():
        looks, vectors = described(embedder, [copy(Image.open(path).convert("RGB")) for path in paths])
        bits, cosines = np.bitwise_count(own[0] ^ looks), (own[1] * vectors).sum(axis=1)
        share = np.mean((bits <= MAX_BITS) & (cosines >= MIN_COSINE))
        print(f"{name:22} {share:4.0%} folded; at most {bits.max()} bits, cosine at least {cosines.min():.3f}")
    print(f"{different(args.index):,} pairs of {args.index} are folded")


def described(embedder: Embedder, files: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Returns look (N,) and visual vector (N, v) of images."""
    looks, vectors = [], []
    for start in range(0, len(files), _BATCH):
        pixels = [
            load_sizes(data, embedder.image_sizes, framing=embedder.framing) for data in files[start : start + _BATCH]
        ]
        looks += [look_of(one[0]) for one in pixels]
        vectors.append(embedder.visual_vectors(embedder.encode(*map(np.stack, zip(*pixels, strict=True)))))
    return np.array(looks, np.uint64), np.concatenate(vectors)


def different(folder: Path) -> int:
    """Returns how many pairs of the images of an index count as copies."""
    with ImageIndex.open(folder) as index:
        rows = index._database.rows("SELECT row, look FROM contents ORDER BY row")
        looks = np.array([look for _, look in rows], np.int64).view(np.uint64)
        vectors = np.asarray(index._current().vectors[1], np.float32)[[row for row, _ in rows]]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = 0
    for first in range(len(looks) - 1):
        near = first + 1 + np.flatnonzero(np.bitwise_count(looks[first] ^ looks[first + 1 :]) <= MAX_BITS)
        pairs += int(np.sum(vectors[near] @ vectors[first] >= MIN_COSINE))
    return pairs


if __name__ == "__main__":
    main()
