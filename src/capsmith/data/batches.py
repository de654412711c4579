"""Training batches that group captions of similar length and load the features of each image only once.

P images · B captions · T tokens.

If loading an image is expensive (a feature grid, or pixels for a trainable encoder), the captions of an image stay in
one batch, B / P rows per image, and images are grouped by their longest caption. A pooled vector is cheap, so its
captions are grouped by length regardless of image, which leaves almost no padding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from capsmith.data.sources import TrainingSource
from capsmith.data.text.vocabulary import END, PAD, START

_POOL = 16  # batches sorted by length together: enough for little padding, few enough for a random order
_TOKEN_STEP, _IMAGE_STEP = 4, 8  # sizes are rounded up to multiples of these, so that few shapes are compiled
_MAX_ROWS = 5  # captions of one image in a batch; the rest go into other batches


@dataclass(frozen=True)
class Example:
    """An image and its captions.

    Attributes:
        row: The row of the image in the source.
        captions: Token ids of each caption, without start and end.
    """

    row: int
    captions: tuple[tuple[int, ...], ...]

    @property
    def longest(self) -> int:
        """Length of the longest caption in tokens."""
        return max(len(caption) for caption in self.captions)


class Batches:
    """Yields ``({"features": (P, …), "tokens": (B, T), "image": (B,)}, targets (B, T))``.

    ``image`` holds the row in ``features`` of each caption. It is omitted with ``group_by_image``: the captions of
    image p then start at row p · B / P. With ``old`` images, ``"old"`` (B,) says which captions are theirs.

    The order depends only on seed and epoch, so resumed training gets the same batches as uninterrupted training. Rows
    without a caption are all padding; ``targets`` is 0 at positions without a loss.

    Args:
        source: The features or images.
        examples: The images with their encoded captions.
        batch_size: Captions per batch (B).
        seed: Seed of the order.
        group_by_image: Keep the captions of an image in one batch.
        flipped_ids: The replacement of each token id in captions of mirrored images (V,); None if no image is mirrored.
        old: Images that the training repeats, whose rows are negative. Each epoch shows a random part of them.
        old_share: Share of the images of an epoch that are old; it is lower if there are too few.
    """

    def __init__(
        self,
        source: TrainingSource,
        examples: Sequence[Example],
        batch_size: int,
        seed: int,
        group_by_image: bool = True,
        flipped_ids: np.ndarray | None = None,
        old: Sequence[Example] = (),
        old_share: float = 0.0,
    ) -> None:
        self.source, self.seed, self.flipped_ids = source, seed, flipped_ids
        most = max((len(example.captions) for example in examples), default=1)
        self.group_by_image = group_by_image
        self.captions_per_image = min(most, batch_size, _MAX_ROWS) if group_by_image else 1
        self.images = max(1, batch_size // self.captions_per_image)
        self.batch_size = self.images * self.captions_per_image
        self.new, self.old = (
            [part for example in group for part in _split(example, self.captions_per_image)]
            for group in (examples, old)
        )
        self.examples = self.new
        self.repeated = min(len(self.old), round(len(self.new) * old_share / (1 - old_share)))
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Sets the batch order of an epoch."""
        self.epoch = epoch
        if self.repeated:
            places = np.random.default_rng((self.seed, epoch, 1)).permutation(len(self.old))[: self.repeated]
            self.examples = [*self.new, *(self.old[place] for place in places)]
        rng = np.random.default_rng((self.seed, epoch))
        order = rng.permutation(len(self.examples))
        pool = _POOL * self.images
        batches: list[list[int]] = []
        for first in range(0, len(order), pool):
            ranked = sorted(order[first : first + pool], key=lambda index: self.examples[index].longest)
            batches += [ranked[start : start + self.images] for start in range(0, len(ranked), self.images)]
        self.batches = [batches[index] for index in rng.permutation(len(batches))]
        rows = np.array([example.row for example in self.examples], np.int64)
        self.rows = self.source.draw(rows, rng)

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> tuple[dict[str, Any], np.ndarray]:
        return self.load(index)

    def finalize(self, batch: tuple[dict[str, Any], np.ndarray]) -> tuple[dict[str, Any], np.ndarray]:
        """Returns a loaded batch unchanged: nothing in it depends on the model."""
        return batch

    def load(self, index: int) -> tuple[dict[str, Any], np.ndarray]:
        """Loads a batch; may be called from a prefetch thread."""
        examples, rows = [self.examples[i] for i in self.batches[index]], self.rows[self.batches[index]]
        sentences = [(ids, True) for example in examples for ids in self._padded_captions(example)]
        tokens, targets = pad(sentences, self.batch_size)
        if self.flipped_ids is not None:
            flipped = np.zeros(self.batch_size, bool)
            flipped[: len(sentences)] = np.repeat(self.source.flipped(rows), self.captions_per_image)
            tokens[flipped] = self.flipped_ids[tokens[flipped]]
            targets[flipped] = self.flipped_ids[targets[flipped]]
        more = {}
        if self.repeated:
            more["old"] = np.resize(np.repeat(rows < 0, self.captions_per_image), self.batch_size)
        if self.group_by_image:
            features = self.source.gather(np.resize(rows, self.images))
            return {"features": features, "tokens": tokens, **more}, targets
        unique, image = np.unique(rows, return_inverse=True)
        unique = np.resize(unique, len(unique) + -len(unique) % _IMAGE_STEP)  # rounded up by repeating the first ones
        image = np.resize(image.astype(np.int32), self.batch_size)
        return {"features": self.source.gather(unique), "tokens": tokens, "image": image, **more}, targets

    def _padded_captions(self, example: Example) -> tuple[tuple[int, ...], ...]:
        """Returns the captions of an image, padded with empty ones to ``captions_per_image``."""
        return example.captions + ((),) * (self.captions_per_image - len(example.captions))

    @property
    def padding(self) -> float:
        """Fraction of the token positions in this epoch that are padding."""
        real = sum(len(caption) + 1 for example in self.examples for caption in example.captions)
        padded = 0
        for batch in self.batches:
            length = max(self.examples[i].longest for i in batch) + 1
            padded += self.batch_size * (length + -length % _TOKEN_STEP)
        return 1 - real / padded


def pad(sentences: Sequence[tuple[Sequence[int], bool]], rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Arranges sentences for teacher forcing.

    Args:
        sentences: Token ids of each sentence, and whether the end token follows. An empty sentence becomes padding.
        rows: Number of rows (B) of the result; surplus rows are padding.

    Returns:
        The inputs, which begin with the start token, and the targets, both (B, T) int32. T is rounded up.
    """
    length = max((len(ids) + 1 for ids, _ in sentences), default=1)
    length += -length % _TOKEN_STEP
    tokens, targets = np.full((2, rows, length), PAD, np.int32)
    for row, (ids, ends) in enumerate(sentences):
        if not len(ids):
            continue
        target = (*ids, END) if ends else tuple(ids)
        tokens[row, 0], tokens[row, 1 : len(target)] = START, target[:-1]
        targets[row, : len(target)] = target
    return tokens, targets


def _split(example: Example, most: int) -> list[Example]:
    """Splits an example whose image has more captions than a batch may hold."""
    captions = example.captions
    return [Example(example.row, captions[first : first + most]) for first in range(0, len(captions), most)]
