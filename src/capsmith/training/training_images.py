"""The training images: unchanged, with cached crops, or augmented."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from capsmith.core.log import get_logger
from capsmith.data.prepare import Prepared, extract_store
from capsmith.data.records import Record
from capsmith.data.sources import (
    AugmentedSource,
    CroppedSource,
    RehearsedSource,
    TrainingSource,
    flip_ids,
    known_pairs,
)
from capsmith.models.captioner import Captioner
from capsmith.training.rehearsal import rehearsal_of

logger = get_logger(__name__)

_PATTERNS = 100  # images that lend their regions to remembered ones


@dataclass(frozen=True)
class TrainingImages:
    """The training images, and the word swaps for mirrored ones.

    Attributes:
        source: Features or pixels, of which each epoch shows one variant.
        records: The images with their references.
        flipped_ids: For each word id, the id to use for a mirror image, (V,).
        old_records: Images that the training repeats, with their captions.
    """

    source: TrainingSource
    records: Sequence[Record]
    flipped_ids: np.ndarray
    old_records: Sequence[Record] = ()

    @property
    def old_rows(self) -> np.ndarray:
        """The row of each image that the training repeats."""
        if not isinstance(self.source, RehearsedSource):
            return np.zeros(0, np.int64)
        return self.source.old_rows([record.image_id for record in self.old_records])

    @classmethod
    def of(cls, captioner: Captioner, prepared: Prepared) -> "TrainingImages":
        """Extracts cached crops if the config requests them.

        Raises:
            FeatureError: The crops cannot be extracted.
        """
        config, words = captioner.config, captioner.vocabulary.words
        training, records = config.training, prepared.split("train")
        ids = [record.image_id for record in records]
        crops = [
            extract_store(records, config.encoders, config.features, number)
            for number in range(1, training.cached_crops + 1)
        ]
        source = CroppedSource([prepared.source, *crops], ids) if crops else TrainingSource(prepared.source)
        if training.augment is not None:
            source = AugmentedSource(prepared.source, ids, training.augment)
        if source.flips:
            report_unknown(words, training.flip_word_pairs)
        rows = prepared.source.rows(ids[:_PATTERNS])
        rehearsal = rehearsal_of(captioner, lambda: prepared.source.gather(rows))
        old = rehearsal.records if rehearsal is not None else ()
        source = source if rehearsal is None else RehearsedSource(source, rehearsal.source)
        return cls(source, records, flip_ids(words, training.flip_word_pairs), old)


def report_unknown(words: Sequence[str], pairs: Sequence[tuple[str, str]]) -> None:
    """Logs which pairs of words are not swapped in the captions of mirrored images, because one is unknown."""
    known = known_pairs(words, pairs)
    if unknown := [pair for pair in pairs if pair not in known]:
        first = "/".join(unknown[0])
        logger.info(
            f"mirrored images: {len(pairs) - len(unknown)} of {len(pairs)} pairs of training.flip_word_pairs are "
            f"swapped; the vocabulary lacks a word of {first}"
            + (f" and {len(unknown) - 1} more" if unknown[1:] else "")
        )
