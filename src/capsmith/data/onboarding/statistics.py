"""What a data set holds, looked at before anything is trained: captions, images, and what is wrong with them."""

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
from capsmith.data.text.language import Writing, writing_of
from capsmith.vision.loading import load_images
from capsmith.vision.near_duplicates import SIDE, downscale, near_duplicates

_SMALL = 4 * SIDE  # pixels a side that an image is decoded at


@dataclass(frozen=True)
class ImageReport:
    """What looking at every image tells.

    Attributes:
        broken: Why an image cannot be read, by its id.
        same: Groups of ids whose images show the same.
        looked_at: How many images were looked at.
    """

    broken: dict[str, str]
    same: list[list[str]]
    looked_at: int


@dataclass(frozen=True)
class Survey:
    """A data set in numbers.

    Attributes:
        corpus: What the reader gave.
        writing: How its captions are written.
        text: How captions become tokens here.
        lengths: Tokens of each caption, all splits.
        words: How often each token stands in the train split.
        repeated: Captions that belong to several images, and to how many.
        looked: What the images say.
    """

    corpus: Corpus
    writing: Writing
    text: TextConfig
    lengths: tuple[int, ...]
    words: Counter[str]
    repeated: dict[str, int]
    looked: ImageReport = field(default_factory=lambda: ImageReport({}, [], 0))

    @property
    def captions(self) -> int:
        """How many captions there are."""
        return len(self.lengths)

    @property
    def each(self) -> tuple[int, float, int]:
        """Captions an image: fewest, median and most."""
        counts = [len(record.captions) for record in self.corpus.records]
        return min(counts), statistics.median(counts), max(counts)

    @property
    def sizes(self) -> dict[str, int]:
        """Images of each split."""
        return {name: len(self.corpus.split(name)) for name in SPLITS}

    def length(self, share: float) -> int:
        """Returns the length that so large a share of the captions does not exceed."""
        ranked = sorted(self.lengths)
        return ranked[min(int(share * len(ranked)), len(ranked) - 1)]

    def vocabulary(self, min_count: int) -> int:
        """Returns how many words are left when rarer ones are unknown."""
        return sum(count >= min_count for count in self.words.values())

    def unknown(self, min_count: int, split: str = "dev") -> float:
        """Returns the share of a split's words that would be unknown; 0 for an empty split."""
        known = {word for word, count in self.words.items() if count >= min_count}
        words = [word for r in self.corpus.split(split) for tokens in r.tokens(self.text) for word in tokens]
        return sum(word not in known for word in words) / max(len(words), 1)

    @property
    def leaks(self) -> list[list[str]]:
        """Groups of images that show the same and lie in several splits: what is tested was trained on."""
        split = {record.image_id: record.split for record in self.corpus.records}
        return [group for group in self.looked.same if len({split[one] for one in group} - {""}) > 1]

    @property
    def readable(self) -> dict[str, int]:
        """Images of each split that can be read."""
        broken = self.looked.broken
        return {name: sum(r.image_id not in broken for r in self.corpus.split(name)) for name in SPLITS}


def survey(corpus: Corpus, text: TextConfig, images: bool = True) -> Survey:
    """Looks at a data set.

    Args:
        corpus: The data set.
        text: How captions become tokens.
        images: Look at every image too: a few milliseconds each.
    """
    records = corpus.records
    tokens = [record.tokens(text) for record in records]
    train = [said for record, each in zip(records, tokens, strict=True) if record.split == "train" for said in each]
    spread: dict[str, set[str]] = {}
    for record in records:
        for caption in record.captions:
            spread.setdefault(" ".join(caption.lower().split()), set()).add(record.image_id)
    return Survey(
        corpus=corpus,
        writing=writing_of(caption for record in records for caption in record.captions),
        text=text,
        lengths=tuple(len(said) for each in tokens for said in each),
        words=Counter(word for said in train for word in said),
        repeated={caption: len(ids) for caption, ids in spread.items() if len(ids) > 1},
        looked=look(records) if images else ImageReport({}, [], 0),
    )


def look(records: Sequence[Record]) -> ImageReport:
    """Decodes every image; returns which are broken and which show the same."""
    copies: dict[str, np.ndarray] = {}
    broken: dict[str, str] = {}
    images = load_images([(r.image_id, r.path) for r in records], (_SMALL, _SMALL), os.cpu_count() or 1)
    with progress_bar(total=len(records), desc="images", unit="image") as progress:
        for image_id, pixels in images:
            if isinstance(pixels, ImageError):
                broken[image_id] = str(pixels)
            else:
                copies[image_id] = downscale(pixels)
            progress.update()
    ids = list(copies)
    same = [[ids[place] for place in group] for group in near_duplicates(list(copies.values()))]
    return ImageReport(broken, same, len(records))
