"""The images that a training shows: as they are, with cached crops, or augmented."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from capsmith.core.log import get_logger
from capsmith.data.prepare import Prepared, training_views
from capsmith.data.records import Record
from capsmith.data.sources import (
    AugmentedSource,
    OriginalSource,
    TrainingSource,
    ViewedSource,
    known_pairs,
    mirror_words,
)
from capsmith.models.captioner import Captioner

logger = get_logger(__name__)


@dataclass(frozen=True)
class TrainingImages:
    """The training images and what to say of mirrored ones.

    Attributes:
        source: Features or pixels, of which each epoch shows one variant.
        records: The images with their references.
        flipped: For each word id, the id that replaces it in captions of mirrored images, (V,).
    """

    source: TrainingSource
    records: Sequence[Record]
    flipped: np.ndarray

    @classmethod
    def of(cls, captioner: Captioner, prepared: Prepared) -> "TrainingImages":
        """Extracts cached crops where the config asks for them.

        Raises:
            FeatureError: The crops cannot be extracted.
        """
        config, words = captioner.config.training, captioner.vocabulary.words
        records = prepared.split("train")
        ids = [record.image_id for record in records]
        source: TrainingSource = OriginalSource(prepared.source)
        if crops := training_views(captioner.config, prepared):
            source = ViewedSource([prepared.source, *crops], ids)
        if config.augment is not None:
            source = AugmentedSource(prepared.source, ids, config.augment)
        if source.has_mirrored:
            _report_unknown(words, config.flip_word_pairs)
        return cls(source, records, mirror_words(words, config.flip_word_pairs))


def _report_unknown(words: Sequence[str], pairs: Sequence[tuple[str, str]]) -> None:
    known = known_pairs(words, pairs)
    if unknown := [pair for pair in pairs if pair not in known]:
        first = "/".join(unknown[0])
        logger.info(
            f"mirrored images: {len(pairs) - len(unknown)} of {len(pairs)} pairs of training.flip_word_pairs are "
            f"swapped; the vocabulary lacks a word of {first}"
            + (f" and {len(unknown) - 1} more" if unknown[1:] else "")
        )
