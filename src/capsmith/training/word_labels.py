"""Word labels of images: which words occur in their captions, and how well a model predicts them.

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

_MAX_SHARE = 0.75  # words of more images than this share do not distinguish images
_MIN_DEV_IMAGES = 5  # average precision over fewer positive images is too noisy


@dataclass(frozen=True)
class WordLabels:
    """The words to predict.

    Attributes:
        column: Column of each word.
        text: How captions are tokenised.
        mirrored: For each column, that of the word that replaces it for a mirrored image, (W,).
    """

    column: dict[str, int]
    text: TextConfig
    mirrored: np.ndarray

    @classmethod
    def of(
        cls, records: Sequence[Record], text: TextConfig, flip_word_pairs: Sequence[tuple[str, str]], min_images: int
    ) -> "WordLabels":
        """Selects the words that occur in the captions of enough images, but not of nearly all.

        Args:
            records: The training images.
            text: How captions are tokenised.
            flip_word_pairs: Words that are swapped for mirrored images.
            min_images: Minimum number of images.

        Raises:
            FeatureError: No word remains.
        """
        images = Counter(word for record in records for word in captions_per_word(record, text))
        most = int(_MAX_SHARE * len(records))
        words = sorted(word for word, count in images.items() if min_images <= count <= most)
        if not words:
            raise FeatureError(
                f"encoder.pretrain_on_words.min_images: no word occurs in the captions of {min_images} to {most} of "
                f"the {len(records)} training images: lower it"
            )
        return cls({word: index for index, word in enumerate(words)}, text, flip_ids(words, flip_word_pairs))

    def of_images(self, records: Sequence[Record]) -> np.ndarray:
        """Returns labels (P, W): 1 for a word in two captions of an image or in its only one, 0.5 in one of several."""
        labels = np.zeros((len(records), len(self.column)), np.float32)
        for row, record in enumerate(records):
            for word, count in captions_per_word(record, self.text).items():
                if word in self.column:
                    labels[row, self.column[word]] = min(1.0, count / min(2, len(record.captions)))
        return labels


def captions_per_word(record: Record, text: TextConfig) -> Counter[str]:
    """Returns the number of an image's captions in which each word occurs."""
    return Counter(word for tokens in record.tokens(text) for word in set(tokens))


def mean_average_precision(scores: np.ndarray, labels: np.ndarray) -> float | None:
    """Returns the average precision of ranking images by a word's score, averaged over words.

    Words with fewer than five positive images are ignored; None if no word remains.

    Args:
        scores: Scores of a model, (P, W).
        labels: Whether the word occurs in the image's captions, (P, W).
    """
    precisions = [*_average_precisions(scores, labels)]
    return float(np.mean(precisions)) if precisions else None


def _average_precisions(scores: np.ndarray, labels: np.ndarray) -> Iterator[float]:
    for word_scores, positive in zip(scores.T, labels.T, strict=True):
        if positive.sum() >= _MIN_DEV_IMAGES:
            ranked = positive[np.argsort(-word_scores, kind="stable")]
            yield float((np.cumsum(ranked) / np.arange(1, len(ranked) + 1))[ranked].mean())
