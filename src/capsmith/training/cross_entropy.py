"""Cross-entropy training: the model learns to predict each word of the references (teacher forcing)."""

from collections.abc import Iterator, Sequence

import numpy as np

from capsmith.config import Config
from capsmith.data.batches import Batches
from capsmith.data.encoded_captions import EncodedCaptions, Example
from capsmith.data.records import Record
from capsmith.data.text.vocabulary import Vocabulary
from capsmith.models.captioner import Captioner
from capsmith.training.caption_objective import CaptionObjective
from capsmith.training.history import Row
from capsmith.training.teacher import TaughtBatches, Teacher
from capsmith.training.teacher_captions import with_teacher_captions
from capsmith.training.training_images import TrainingImages


class CrossEntropy(CaptionObjective):
    """Minimises the mean cross-entropy of the references' words.

    Args:
        captioner: The captioner to train.
        images: The training images.
    """

    batches: Batches

    def __init__(self, captioner: Captioner, images: TrainingImages) -> None:
        config = captioner.config
        records = with_teacher_captions(images.records, config.training.teacher_captions)
        rows = images.source.rows([record.image_id for record in records])
        rehearsal = config.training.rehearsal
        kind = TaughtBatches if images.old_records and not config.trains_encoder else Batches
        batches = kind(
            images.source,
            encode_captions(records, captioner.vocabulary, config, rows),
            config.training.batch_size,
            config.seed,
            config.trains_encoder or len(captioner.feature_shape) > 1,
            images.flipped_ids,
            encode_captions(images.old_records, captioner.vocabulary, config, images.old_rows),
            rehearsal.share if rehearsal is not None else 0.0,
            config.training.shuffle_window,
        )
        if isinstance(batches, TaughtBatches):
            batches.teacher = Teacher(captioner)
        super().__init__(captioner, batches)

    @property
    def summary(self) -> str:
        """Share of padding in the batches."""
        return f"{self.batches.padding:.0%} padding"

    def progress(self, row: Row) -> str:
        """Returns the loss."""
        return f"loss {row['loss']:.4f}"


def encode_captions(
    records: Sequence[Record], vocabulary: Vocabulary, config: Config, rows: np.ndarray
) -> EncodedCaptions:
    """Returns the captions of images as word ids, cut at ``text.max_length``. Empty captions are omitted.

    Args:
        records: The images with their references.
        vocabulary: Maps words to ids.
        config: Its ``text`` section defines how captions are tokenised.
        rows: Row of each image in the source.
    """

    def examples() -> Iterator[Example]:
        for record, row in zip(records, rows, strict=True):
            encoded = (vocabulary.encode(tokens)[: config.text.max_length] for tokens in record.tokens(config.text))
            captions = tuple(tuple(ids) for ids in encoded if ids)
            if captions:
                yield Example(int(row), captions)

    return EncodedCaptions(examples())
