"""Which words images' captions hold, and how well a model finds them: what an encoder is adapted by.

P images · W words.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from capsmith.core.errors import FeatureError
from capsmith.data.records import Record
from capsmith.data.sources import flip_ids
from capsmith.data.text.config import TextConfig

_COMMON = 0.75  # words of more images than this share say nothing about any
_FEW = 5  # dev images that must have a word for its average precision to mean something


@dataclass(frozen=True)
class Words:
    """The words that are looked for.

    Attributes:
        column: Of each word.
        text: How captions are cut into words.
        mirrored: For each column that of the word to say of a mirrored image: ``right``'s for ``left``'s.
    """

    column: dict[str, int]
    text: TextConfig
    mirrored: np.ndarray

    @classmethod
    def of(
        cls, records: Sequence[Record], text: TextConfig, pairs: Sequence[tuple[str, str]], min_images: int
    ) -> "Words":
        """Chooses the words of enough images, but not of nearly all.

        Args:
            records: The training images.
            text: How captions are cut into words.
            pairs: Words that exchange their places in mirrored images.
            min_images: How many images are enough.

        Raises:
            FeatureError: None is left.
        """
        images = Counter(word for record in records for word in counted(record, text))
        most = int(_COMMON * len(records))
        chosen = sorted(word for word, count in images.items() if min_images <= count <= most)
        if not chosen:
            raise FeatureError(
                f"encoder.pretrain_on_words.min_images: no word occurs in the captions of {min_images} to {most} of "
                f"the {len(records)} training images: lower it"
            )
        return cls({word: number for number, word in enumerate(chosen)}, text, flip_ids(chosen, pairs))

    def of_images(self, records: Sequence[Record]) -> np.ndarray:
        """Returns how sure it is that an image shows a word (P, W): 1 where two captions say so, or the only one."""
        sure = np.zeros((len(records), len(self.column)), np.float32)
        for row, record in enumerate(records):
            for word, count in counted(record, self.text).items():
                if word in self.column:
                    sure[row, self.column[word]] = min(1.0, count / min(2, len(record.captions)))
        return sure


def counted(record: Record, text: TextConfig) -> Counter[str]:
    """Returns in how many of an image's captions each word stands."""
    return Counter(word for tokens in record.tokens(text) for word in set(tokens))


def average_precision(found: np.ndarray, there: np.ndarray) -> float | None:
    """Returns the mean over words of the average precision with which images that show them are ranked.

    Words of fewer than five images do not count; None when no word does.

    Args:
        found: How sure a model is, (P, W).
        there: Whether the word stands in the image's captions, (P, W).
    """
    each = [*_precisions(found, there)]
    return float(np.mean(each)) if each else None


def _precisions(found: np.ndarray, there: np.ndarray) -> Iterator[float]:
    for scores, right in zip(found.T, there.T, strict=True):
        if right.sum() >= _FEW:
            ranked = right[np.argsort(-scores, kind="stable")]
            yield float((np.cumsum(ranked) / np.arange(1, len(ranked) + 1))[ranked].mean())
