"""Training batches that group captions of similar length and load the features of each image only once.

P images · B captions · T tokens.

If loading an image is expensive (a feature grid, or pixels for a trainable encoder), the captions of an image stay in
one batch, B / P rows per image, and images are grouped by their longest caption. A pooled vector is cheap, so its
captions are grouped by length regardless of image, which leaves almost no padding.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from capsmith.data.encoded_captions import EncodedCaptions, Example
from capsmith.data.shuffling import batch_order, epoch_order
from capsmith.data.sources import TrainingSource
from capsmith.data.text.vocabulary import END, PAD, START

__all__ = ["Batches", "Example", "pad"]

_POOL = 16  # batches sorted by length together: enough for little padding, few enough for a random order
_TOKEN_STEP, _IMAGE_STEP = 4, 8  # sizes are rounded up to multiples of these, so that few shapes are compiled
_MAX_ROWS = 5  # captions of one image in a batch; the rest go into other batches


class _Parts:
    """Images with at most so many captions each: an image with more is divided.

    Args:
        examples: The images.
        most: Captions in a part.

    Attributes:
        rows: Row of the image of each part, (M,).
        first: Its first caption, (M,).
        counts: Its number of captions, (M,).
        longest: Length of its longest caption, (M,).
    """

    def __init__(self, examples: EncodedCaptions, most: int) -> None:
        captions = np.diff(examples.first)
        parts = -(-captions // most)
        image = np.repeat(np.arange(len(examples), dtype=np.int32), parts)
        within = np.arange(len(image)) - np.repeat(np.cumsum(parts) - parts, parts)
        self.rows = examples.rows[image]
        self.first = examples.first[image] + within * most
        self.counts = np.minimum(captions[image] - within * most, most).astype(np.uint8 if most < 256 else np.int32)
        reduced = np.maximum.reduceat(examples.lengths, self.first) if len(image) else np.zeros(0, np.int32)
        self.longest = reduced.astype(np.uint16 if not len(image) or reduced.max() < 2**16 else np.int32)
        self.examples = examples

    def __len__(self) -> int:
        return len(self.rows)

    def captions(self, part: int) -> list[list[int]]:
        """Returns the token ids of the captions of a part."""
        first = int(self.first[part])
        return [self.examples.caption(number) for number in range(first, first + int(self.counts[part]))]


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
        window: Images within which an epoch is shuffled, see ``shuffling.py``; None shuffles all.
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
        window: int | None = None,
    ) -> None:
        self.source, self.seed, self.flipped_ids = source, seed, flipped_ids
        encoded = EncodedCaptions.of(examples)
        most = max(1, int(np.diff(encoded.first).max(initial=1)))
        self.group_by_image = group_by_image
        self.captions_per_image = min(most, batch_size, _MAX_ROWS) if group_by_image else 1
        self.images = max(1, batch_size // self.captions_per_image)
        self.batch_size = self.images * self.captions_per_image
        self.new = _Parts(encoded, self.captions_per_image)
        self.old = _Parts(EncodedCaptions.of(old), self.captions_per_image)
        per_image = len(self.new) / max(len(encoded), 1)
        self.window = None if window is None else max(self.images, round(window * per_image))
        self.repeated = min(len(self.old), round(len(self.new) * old_share / (1 - old_share)))
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Sets the batch order of an epoch."""
        self.epoch = epoch
        rows, longest = self.new.rows, self.new.longest
        if self.repeated:
            places = np.random.default_rng((self.seed, epoch, 1)).permutation(len(self.old))[: self.repeated]
            self.places = places
            rows = np.concatenate([rows, self.old.rows[places]])
            longest = np.concatenate([longest, self.old.longest[places]])
        rng = np.random.default_rng((self.seed, epoch))
        order = epoch_order(rows, rng, self.window)
        pool = _POOL * self.images
        for first in range(0, len(order), pool):  # short captions first
            part = order[first : first + pool]
            order[first : first + pool] = part[np.argsort(longest[part], kind="stable")]
        self.order = order
        count = -(-len(order) // self.images)
        self.batches = batch_order(count, rng, None if self.window is None else -(-self.window // self.images))
        self.rows, self._longest = self.source.draw(rows, rng), longest

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> tuple[dict[str, Any], np.ndarray]:
        return self.load(index)

    def finalize(self, batch: tuple[dict[str, Any], np.ndarray]) -> tuple[dict[str, Any], np.ndarray]:
        """Returns a loaded batch unchanged: nothing in it depends on the model."""
        return batch

    def load(self, index: int) -> tuple[dict[str, Any], np.ndarray]:
        """Loads a batch; may be called from a prefetch thread."""
        parts = self._parts(index)
        rows = self.rows[parts]
        sentences = [(ids, True) for part in parts for ids in self._padded_captions(int(part))]
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

    def _parts(self, index: int) -> np.ndarray:
        """Returns the parts of a batch."""
        first = int(self.batches[index]) * self.images
        return self.order[first : first + self.images]

    def _padded_captions(self, part: int) -> list[list[int]]:
        """Returns the captions of an image, padded with empty ones to ``captions_per_image``."""
        is_new = part < len(self.new)
        captions = self.new.captions(part) if is_new else self.old.captions(int(self.places[part - len(self.new)]))
        empty: list[list[int]] = [[]]
        return captions + empty * (self.captions_per_image - len(captions))

    @property
    def padding(self) -> float:
        """Fraction of the token positions in this epoch that are padding."""
        real = int((self.new.examples.lengths + 1).sum())
        if self.repeated:
            real += sum(len(ids) + 1 for place in self.places for ids in self.old.captions(int(place)))
        length = np.array([int(self._longest[self._parts(index)].max()) + 1 for index in range(len(self))])
        padded = self.batch_size * int((length + -length % _TOKEN_STEP).sum())
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
