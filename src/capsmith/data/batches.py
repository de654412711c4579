"""Training batches: captions of like length together, each image's features once.

P images · B captions · T tokens. Where an image is costly (a grid, or pixels for an encoder that learns too), its
captions stand together, B / P rows an image, and images whose longest captions are alike come together. A pooled
vector costs nothing, so there captions of one length come together, whichever their images, and hardly any is
padding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from capsmith.data.sources import TrainingSource
from capsmith.data.text.vocabulary import END, PAD, START

_POOL = 16  # batches that are sorted by length together: enough to pad little, few enough to stay random
_TOKEN_STEP, _IMAGE_STEP = 4, 8  # sizes are padded to multiples, so that few shapes are compiled
_MOST_ROWS = 5  # of one image in a batch; the others come in another batch


@dataclass(frozen=True)
class Example:
    """One image (its row in the source) and its captions as word ids, without start and end."""

    row: int
    captions: tuple[tuple[int, ...], ...]

    @property
    def longest(self) -> int:
        """Words in the longest caption."""
        return max(len(caption) for caption in self.captions)


class Batches(keras.utils.PyDataset):
    """Yields ``({"features": (P, …), "tokens": (B, T), "image": (B,)}, targets (B, T))``.

    ``image`` is the row of ``features`` of each caption; with ``together`` it is left out, since the captions of
    image p are rows p · B / P and those after it.

    The order is a function of seed and epoch alone, so that a resumed training sees what the uninterrupted one saw.
    Rows without a caption are all padding; ``targets`` is zero wherever nothing is to be learned.

    Args:
        source: The features or images.
        examples: The images with their encoded captions.
        batch_size: Captions a batch (B).
        seed: Seed of the order.
        together: Keep the captions of an image in one batch.
        mirror: The word to say of a mirrored image in the place of each (V,), where the source has views.
    """

    def __init__(
        self,
        source: TrainingSource,
        examples: Sequence[Example],
        batch_size: int,
        seed: int,
        together: bool = True,
        mirror: np.ndarray | None = None,
    ) -> None:
        super().__init__()
        self.source, self.seed, self.mirror = source, seed, mirror
        most = max((len(example.captions) for example in examples), default=1)
        self.each = min(most, batch_size, _MOST_ROWS) if together else 1
        self.together = together
        self.images = max(1, batch_size // self.each)
        self.batch_size = self.images * self.each
        self.examples = [part for example in examples for part in _cut(example, self.each)]
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Orders the batches for an epoch."""
        self.epoch = epoch
        rng = np.random.default_rng((self.seed, epoch))
        order = rng.permutation(len(self.examples))
        pool = _POOL * self.images
        batches: list[list[int]] = []
        for first in range(0, len(order), pool):
            some = sorted(order[first : first + pool], key=lambda index: self.examples[index].longest)
            batches += [some[start : start + self.images] for start in range(0, len(some), self.images)]
        self.batches = [batches[index] for index in rng.permutation(len(batches))]
        self.rows = np.array([example.row for example in self.examples], np.int64)
        self.rows = self.source.sample(self.rows, rng)

    def on_epoch_end(self) -> None:
        """Moves to the next epoch's order."""
        self.set_epoch(self.epoch + 1)

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> tuple[dict[str, Any], np.ndarray]:
        return self.load(index)

    def finalize(self, batch: tuple[dict[str, Any], np.ndarray]) -> tuple[dict[str, Any], np.ndarray]:
        """Returns a loaded batch, which is complete already."""
        return batch

    def load(self, index: int) -> tuple[dict[str, Any], np.ndarray]:
        """Returns a batch. A prefetch thread may call it."""
        examples, rows = [self.examples[i] for i in self.batches[index]], self.rows[self.batches[index]]
        sentences = [(words, True) for example in examples for words in self._rows_of(example)]
        tokens, targets = pad(sentences, self.batch_size)
        if self.mirror is not None:
            turned = np.zeros(self.batch_size, bool)
            turned[: len(sentences)] = np.repeat(self.source.mirrored(rows), self.each)
            tokens[turned], targets[turned] = self.mirror[tokens[turned]], self.mirror[targets[turned]]
        if self.together:
            return {"features": self.source.gather(np.resize(rows, self.images)), "tokens": tokens}, targets
        found, image = np.unique(rows, return_inverse=True)
        found = np.resize(found, len(found) + -len(found) % _IMAGE_STEP)  # filled up with the first ones again
        image = np.resize(image.astype(np.int32), self.batch_size)
        return {"features": self.source.gather(found), "tokens": tokens, "image": image}, targets

    def _rows_of(self, example: Example) -> tuple[tuple[int, ...], ...]:
        """Returns an image's captions, filled up with empty ones to as many as every image has."""
        return example.captions + ((),) * (self.each - len(example.captions))

    @property
    def padding(self) -> float:
        """Share of this epoch's positions that hold nothing to learn."""
        real = sum(len(caption) + 1 for example in self.examples for caption in example.captions)
        padded = 0
        for batch in self.batches:
            length = max(self.examples[i].longest for i in batch) + 1
            padded += self.batch_size * (length + -length % _TOKEN_STEP)
        return 1 - real / padded


def pad(sentences: Sequence[tuple[Sequence[int], bool]], rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Lays sentences out for teacher forcing.

    Args:
        sentences: Word ids, and whether the end token follows; an empty one is left out, its row all padding.
        rows: How many rows (B) there are to be; those left over are all padding.

    Returns:
        What is read, from the start token, and what is to be said next, both (B, T) int32; T is rounded up.
    """
    length = max((len(words) + 1 for words, _ in sentences), default=1)
    length += -length % _TOKEN_STEP
    tokens, targets = np.full((2, rows, length), PAD, np.int32)
    for row, (words, ends) in enumerate(sentences):
        count = len(words)
        if not count:
            continue
        said = (*words, END) if ends else tuple(words)
        tokens[row, 0], tokens[row, 1 : len(said)] = START, said[:-1]
        targets[row, : len(said)] = said
    return tokens, targets


def _cut(example: Example, most: int) -> list[Example]:
    """Splits an image with more captions than may stand together."""
    captions = example.captions
    return [Example(example.row, captions[first : first + most]) for first in range(0, len(captions), most)]
