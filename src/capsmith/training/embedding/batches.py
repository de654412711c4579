"""Batches of images and captions for the losses of a joint embedding.

P images · B captions · k captions of an image in a batch · T words.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from capsmith.data.encoded_captions import Example
from capsmith.data.shuffling import epoch_order
from capsmith.data.sources import TrainingSource
from capsmith.retrieval.texts import padded

_STEP = 4  # lengths are rounded up to a multiple, so that few are compiled


class PairBatches:
    """Yields ``({"features": (P, …), "tokens": (B, T), "image": (B,), "groups": (P,)}, groups of the captions (B,))``.

    An epoch is several passes over the images; each pass shows k captions of each, and together the passes show every
    caption about once. No image occurs twice in a batch. The order depends only on seed and epoch.

    Args:
        source: The features.
        examples: The images with their encoded captions.
        groups: The group of each image; copies of an image share one.
        batch_size: Captions in a batch, at most.
        captions_per_image: k.
        seed: Seed of the order.
        flipped_ids: The replacement of each token id in captions of mirrored images (V,).
        window: Images within which a pass is shuffled, see ``data/shuffling.py``; None shuffles all.
    """

    def __init__(
        self,
        source: TrainingSource,
        examples: Sequence[Example],
        groups: np.ndarray,
        batch_size: int,
        captions_per_image: int,
        seed: int,
        flipped_ids: np.ndarray,
        window: int | None = None,
    ) -> None:
        self.window = window
        self.source, self.examples, self.groups = source, examples, groups.astype(np.int32)
        self.captions_per_image, self.seed, self.flipped_ids = captions_per_image, seed, flipped_ids
        parts = -(-len(examples) // max(1, batch_size // captions_per_image))  # of a pass, with as many images each
        self.images = len(examples) // parts
        self.batch_size = self.images * captions_per_image
        captions = sum(len(example.captions) for example in examples)
        self.passes = max(1, round(captions / len(examples) / captions_per_image))
        longest = max(len(caption) for example in examples for caption in example.captions)
        self.length = longest + -longest % _STEP
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Sets the order of an epoch: the images of each batch, their variants, and the first of their captions."""
        rng = np.random.default_rng((self.seed, epoch))
        count = len(self.examples)
        self.order = [rng.permutation(len(example.captions)) for example in self.examples]
        rows = np.array([example.row for example in self.examples], np.int64)
        self.batches: list[tuple[np.ndarray, np.ndarray, int]] = []
        for number in range(self.passes):
            images, drawn = epoch_order(rows, rng, self.window), self.source.draw(rows, rng)
            for first in range(0, count - self.images + 1, self.images):  # the rest waits for another pass
                chosen = images[first : first + self.images]
                self.batches.append((chosen, drawn[chosen], number * self.captions_per_image))

    def __len__(self) -> int:
        return len(self.batches)

    def finalize(self, batch: tuple[dict[str, Any], np.ndarray]) -> tuple[dict[str, Any], np.ndarray]:
        """Returns a loaded batch unchanged: nothing in it depends on the model."""
        return batch

    def load(self, index: int) -> tuple[dict[str, Any], np.ndarray]:
        """Loads a batch; may be called from a prefetch thread."""
        images, rows, first = self.batches[index]
        captions = [self._caption(image, first + n) for image in images for n in range(self.captions_per_image)]
        tokens = padded(captions, self.length)
        flipped = np.repeat(self.source.flipped(rows), self.captions_per_image)
        tokens[flipped] = self.flipped_ids[tokens[flipped]]
        place = np.repeat(np.arange(len(images), dtype=np.int32), self.captions_per_image)
        groups = self.groups[images]
        inputs = {"features": self.source.gather(rows), "tokens": tokens, "image": place, "groups": groups}
        return inputs, groups[place]

    def _caption(self, image: int, number: int) -> tuple[int, ...]:
        """Returns a caption of an image in the order of this epoch, which starts again after the last one."""
        order = self.order[image]
        return self.examples[image].captions[order[number % len(order)]]
