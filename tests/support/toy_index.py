"""Folders of colours for tests of indexes. Run as a program, it indexes a folder slowly, until it is killed.

``python -m tests.support.toy_index FOLDER INDEX DELAY``
"""

import hashlib
import sqlite3
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from capsmith.deploy.batch.vectors import VectorWork
from capsmith.deploy.search import ImageIndex, build_index
from tests.support.toy_embedder import COLOURS, ToyEmbedder


def picture(*colours: str, seed: int = 0) -> Image.Image:
    """Returns an image of two halves: of one colour or two, each with a little noise, so that no two are equal."""
    halves = [COLOURS[colour] for colour in (*colours, *colours)[:2]]
    pixels = np.repeat(np.array([halves], np.float32), 16, axis=0).repeat(16, axis=1)
    noise = np.random.default_rng(seed).normal(0, 3, pixels.shape)
    return Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))


def make_photos(folder: Path) -> Path:
    """Makes an image of each colour, and some of two."""
    (folder / "deep").mkdir(parents=True)
    for seed, colour in enumerate(COLOURS):
        picture(colour, seed=seed).save(folder / f"{colour}.png")
    picture("red", "blue", seed=20).save(folder / "deep" / "red and blue.png")
    picture("green", "white", seed=21).save(folder / "deep" / "green and white.png")
    return folder


def stored(index: Path) -> dict[str, tuple[bytes, bytes, bytes]]:
    """Returns hash, semantic and visual vector of each image of an index; each stands there once."""
    opened = ImageIndex.open(index)
    view = opened._current()
    opened.close()
    connection = sqlite3.connect(index / "images.sqlite")
    rows = connection.execute("SELECT i.name, c.hash, c.row FROM images i JOIN contents c ON c.id = i.content")
    found = [(name.decode(), hash, *(part[row].tobytes() for part in view.vectors)) for name, hash, row in rows]
    connection.close()
    assert len({name for name, *_ in found}) == len(found)
    return {name: (hash, semantic, visual) for name, hash, semantic, visual in found}


def hash_of(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


class ToyVectorWork(VectorWork):
    """The work of a sharded job with the toy model, also in processes of another engine."""

    def load(self) -> ToyEmbedder:
        return ToyEmbedder()


class SlowEmbedder(ToyEmbedder):
    """Takes its time for each batch."""

    delay = 0.0

    def encode(self, *pixels: np.ndarray) -> np.ndarray:
        time.sleep(self.delay)
        return super().encode(*pixels)


if __name__ == "__main__":
    from capsmith.deploy.search import build

    embedder = SlowEmbedder()
    embedder.delay, build._SAVE_SECONDS = float(sys.argv[3]), 0.0
    sys.stdout.write(f"{build_index(sys.argv[1], sys.argv[2], embedder, batch_size=4)}\n")
