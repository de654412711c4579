"""Statistics of a dataset before training: captions, images, and problems."""

import os
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from capsmith.core.errors import ImageError
from capsmith.core.progress import progress_bar
from capsmith.data.records import SPLITS, Corpus, Record
from capsmith.data.text.config import TextConfig
from capsmith.data.text.language import Writing, detect_writing
from capsmith.vision.loading import load_images
from capsmith.vision.near_duplicates import SIDE, downscale, near_duplicates

_DECODED_SIDE = 4 * SIDE  # pixels


@dataclass(frozen=True)
class ImageReport:
    """The result of decoding every image.

    Attributes:
        unreadable: The reason why an image cannot be read, by image id.
        duplicates: Groups of ids of near-duplicate images.
        count: Number of images.
    """

    unreadable: dict[str, str] = field(default_factory=dict)
    duplicates: list[list[str]] = field(default_factory=list)
    count: int = 0


@dataclass(frozen=True)
class DatasetStatistics:
    """Statistics of a dataset.

    Attributes:
        corpus: The dataset.
        writing: Script and language of the captions.
        text: The tokenisation of the captions.
        lengths: Number of tokens of each caption, all splits.
        word_counts: Frequency of each token in the train split.
        repeated_captions: Captions shared by several images, with the number of images.
        images: The result of decoding every image; empty if images were not decoded.
    """

    corpus: Corpus
    writing: Writing
    text: TextConfig
    lengths: tuple[int, ...]
    word_counts: Counter[str]
    repeated_captions: dict[str, int]
    images: ImageReport = field(default_factory=ImageReport)

    @property
    def captions(self) -> int:
        """Number of captions."""
        return len(self.lengths)

    @property
    def captions_per_image(self) -> tuple[int, float, int]:
        """Minimum, median and maximum number of captions of an image."""
        counts = [len(record.captions) for record in self.corpus.records]
        return min(counts), statistics.median(counts), max(counts)

    @property
    def sizes(self) -> dict[str, int]:
        """Number of images in each split."""
        return {name: len(self.corpus.split(name)) for name in SPLITS}

    @property
    def readable(self) -> dict[str, int]:
        """Number of readable images in each split."""
        unreadable = self.images.unreadable
        return {name: sum(r.image_id not in unreadable for r in self.corpus.split(name)) for name in SPLITS}

    @property
    def leaks(self) -> list[list[str]]:
        """Groups of near-duplicate images in different splits: a model would be tested on training images."""
        split = {record.image_id: record.split for record in self.corpus.records}
        return [group for group in self.images.duplicates if len({split[image_id] for image_id in group} - {""}) > 1]

    def length_quantile(self, share: float) -> int:
        """Returns the length in tokens that this share of the captions does not exceed."""
        ranked = sorted(self.lengths)
        return ranked[min(int(share * len(ranked)), len(ranked) - 1)]

    def vocabulary_size(self, min_count: int) -> int:
        """Returns the number of words that occur at least ``min_count`` times in the train split."""
        return sum(count >= min_count for count in self.word_counts.values())

    def unknown_rate(self, min_count: int, split: str = "dev") -> float:
        """Returns the share of a split's tokens that a vocabulary would lack; 0 for an empty split."""
        known = {word for word, count in self.word_counts.items() if count >= min_count}
        words = [word for r in self.corpus.split(split) for tokens in r.tokens(self.text) for word in tokens]
        return sum(word not in known for word in words) / max(len(words), 1)


def compute_statistics(corpus: Corpus, text: TextConfig, images: bool = True) -> DatasetStatistics:
    """Computes the statistics of a dataset.

    Args:
        corpus: The dataset.
        text: The tokenisation of the captions.
        images: Decode every image, which takes a few milliseconds each.
    """
    records = corpus.records
    images_of: dict[str, set[str]] = {}
    for record in records:
        for caption in record.captions:
            images_of.setdefault(" ".join(caption.lower().split()), set()).add(record.image_id)
    train = (tokens for record in records if record.split == "train" for tokens in record.tokens(text))
    return DatasetStatistics(
        corpus=corpus,
        writing=detect_writing(caption for record in records for caption in record.captions),
        text=text,
        lengths=tuple(len(tokens) for record in records for tokens in record.tokens(text)),
        word_counts=Counter(word for tokens in train for word in tokens),
        repeated_captions={caption: len(ids) for caption, ids in images_of.items() if len(ids) > 1},
        images=inspect_images(records) if images else ImageReport(),
    )


def inspect_images(records: Sequence[Record]) -> ImageReport:
    """Decodes every image to find unreadable images and near-duplicates."""
    thumbnails: dict[str, np.ndarray] = {}
    unreadable: dict[str, str] = {}
    paths = ((record.image_id, record.path) for record in records)
    with progress_bar(total=len(records), desc="images", unit="image") as progress:
        for image_id, pixels in load_images(paths, (_DECODED_SIDE, _DECODED_SIDE), os.cpu_count() or 1):
            if isinstance(pixels, ImageError):
                unreadable[image_id] = str(pixels)
            else:
                thumbnails[image_id] = downscale(pixels)
            progress.update()
    ids = list(thumbnails)
    duplicates = [[ids[place] for place in group] for group in near_duplicates(list(thumbnails.values()))]
    return ImageReport(unreadable, duplicates, len(records))
