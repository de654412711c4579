"""A joint embedding in training: network, images and words, and the trained state as a ``JointEmbedding``."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from capsmith.config import EmbeddingRunConfig
from capsmith.core.log import get_logger
from capsmith.core.precision import dtype_scope
from capsmith.data.batches import Example
from capsmith.data.prepare import Prepared, extract_store
from capsmith.data.records import Record
from capsmith.data.sources import CroppedSource, TrainingSource
from capsmith.data.text.vocabulary import Vocabulary
from capsmith.models.embedding.network import EmbeddingModel
from capsmith.retrieval.heads import ImageHead
from capsmith.retrieval.joint_embedding import JointEmbedding, visual_vectors
from capsmith.retrieval.principal_components import PrincipalComponents
from capsmith.retrieval.texts import text_ids
from capsmith.training.embedding.images import PooledFeatures, copies
from capsmith.training.training_images import report_unknown

logger = get_logger(__name__)
_SCALE_SAMPLE = 500  # images from whose regions the scale of the channels is estimated


@dataclass
class Trainee:
    """What training needs of a joint embedding and its data.

    Attributes:
        config: The config.
        vocabulary: The words.
        model: The network.
        train: The features of the training images.
        dev: The features of the dev images.
        records: The records of each split.
        prepared: The data set.
    """

    config: EmbeddingRunConfig
    vocabulary: Vocabulary
    model: EmbeddingModel
    train: PooledFeatures
    dev: PooledFeatures
    records: dict[str, Sequence[Record]]
    prepared: Prepared

    @classmethod
    def new(
        cls,
        config: EmbeddingRunConfig,
        vocabulary: Vocabulary,
        vectors: np.ndarray | None,
        prepared: Prepared,
        precision: str,
    ) -> "Trainee":
        """Builds an untrained network for the features of a data set.

        Args:
            config: The config.
            vocabulary: The words.
            vectors: Initial word vectors (V, E), or None.
            prepared: The images and their features.
            precision: Compute precision of the layers.
        """
        records = {split: prepared.split(split) for split in ("train", "dev")}
        pooling = config.embedding.image.pooling
        train, dev = (
            PooledFeatures(prepared.source, [record.image_id for record in part], pooling) for part in records.values()
        )
        sample = train.sample(_SCALE_SAMPLE, config.seed)
        with dtype_scope(precision):
            model = EmbeddingModel(config.embedding, config.training, sample.shape[-1], len(vocabulary), vectors)
        model.scaling.learn(sample)
        return cls(config, vocabulary, model, train, dev, records, prepared)

    def source(self) -> TrainingSource:
        """Returns the features of the training images, with their cached crops, which are extracted if needed.

        Raises:
            FeatureError: The crops cannot be extracted.
        """
        config, records = self.config, self.records["train"]
        ids, pooling = [record.image_id for record in records], config.embedding.image.pooling
        crops = [
            PooledFeatures(extract_store(records, config.encoders, config.features, number), ids, pooling)
            for number in range(1, config.training.cached_crops + 1)
        ]
        if not crops:
            return TrainingSource(self.train)
        report_unknown(self.vocabulary.words, config.training.flip_word_pairs)
        return CroppedSource([self.train, *crops], ids)

    def examples(self, split: str) -> list[Example]:
        """Returns the encoded captions of the images of a split, in the order of their rows."""
        text = self.config.text
        return [
            Example(row, tuple(text_ids(tokens, self.vocabulary, text) for tokens in record.tokens(text)))
            for row, record in enumerate(self.records[split])
        ]

    @cached_property
    def visual(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean (D,) and projection (D, v) of visual vectors, and the group of copies of each training image (P,)."""
        pooled = self.train.means()
        parts = PrincipalComponents.of(pooled)
        mean, projection = parts.mean.astype(np.float32), parts.visual_projection()
        groups = copies(visual_vectors(pooled, mean, projection))
        if doubled := int((groups != np.arange(len(groups))).sum()):
            logger.info(f"images: {doubled:,} of {len(groups):,} are copies of others, and are no negatives of them")
        return mean, projection, groups

    def embedding(self) -> JointEmbedding:
        """Returns the model with its current weights."""
        mean, projection, _ = self.visual
        image, text = self.model.heads()
        bank = image_vectors(image, self.train).astype(np.float16)
        return JointEmbedding(image, text, mean, projection, bank)


def image_vectors(head: ImageHead, features: PooledFeatures) -> np.ndarray:
    """Returns the vectors (P, d) of images."""
    return np.concatenate([head.of_pooled(part) for part in features.batches()])
