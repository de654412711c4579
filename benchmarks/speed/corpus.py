"""Captions and features for measurements: Flickr8k's own, or synthetic ones with the same lengths."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from capsmith.data.batches import Example
from capsmith.data.sources import TrainingSource
from capsmith.data.text.vocabulary import Vocabulary

LENGTHS = {
    3: 4, 4: 12, 5: 29, 6: 65, 7: 85, 8: 98, 9: 111, 10: 111, 11: 104, 12: 93, 13: 77, 14: 62, 15: 44, 16: 33, 17: 22,
    18: 17, 19: 12, 20: 7, 21: 5, 22: 11,
}  # fmt: skip
"""How many of a thousand training captions of Flickr8k have so many words, cut at 22."""
VOCABULARY = 5000
EACH = 5


@dataclass(frozen=True)
class Features(TrainingSource):
    """A training source of random features, a few images repeated: reading them costs as much as in a run."""

    values: np.ndarray

    def rows(self, ids: Sequence[str]) -> np.ndarray:
        """Returns the row of each image."""
        return np.array([int(one) for one in ids], np.int64)

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Returns features (P, …)."""
        return self.values[rows % len(self.values)]


def features(shape: tuple[int, ...], images: int = 512) -> Features:
    """Returns features of a shape, in the precision of a store."""
    values = np.random.default_rng(0).gamma(1.0, 0.5, (images, *shape))
    return Features(values.astype(np.float32 if len(shape) == 1 else np.float16))


def vocabulary() -> Vocabulary:
    """Returns a vocabulary of the model's size."""
    return Vocabulary.build([[f"word{number}" for number in range(VOCABULARY - 4)]], min_count=1)


def examples(images: int) -> list[Example]:
    """Returns images with five captions each: lengths as in Flickr8k, words by a Zipf law."""
    rng = np.random.default_rng(1)
    lengths = list(LENGTHS)
    share = np.array(list(LENGTHS.values()), float)
    chance = 1.0 / np.arange(1, VOCABULARY - 3)
    found = []
    for row in range(images):
        sizes = rng.choice(lengths, EACH, p=share / share.sum())
        captions = tuple(
            tuple((4 + rng.choice(VOCABULARY - 4, size, p=chance / chance.sum())).tolist()) for size in sizes
        )
        found.append(Example(row, captions))
    return found


def images(folder: Path, count: int) -> list[tuple[str, Path]]:
    """Writes JPEG files of Flickr8k's size with realistic content; existing files stay."""
    from PIL import Image, ImageFilter

    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for number in range(count):
        path = folder / f"{number:05d}.jpg"
        if not path.exists():
            rng = np.random.default_rng(number)
            coarse = Image.fromarray(rng.integers(0, 256, (24, 32, 3), np.uint8)).resize(
                (500, 375), Image.Resampling.BICUBIC
            )
            fine = Image.fromarray(rng.integers(0, 256, (375, 500, 3), np.uint8)).filter(ImageFilter.GaussianBlur(1))
            Image.blend(coarse, fine, 0.25).save(path, quality=90)
        made.append((path.stem, path))
    return made
