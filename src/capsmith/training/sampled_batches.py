"""Batches of captions that the model samples, each weighted by its advantage.

P images · S samples per image · B = P · S captions · T tokens.

The end of a sentence counts as a word in the reward. Without it, models learn to stop early ("a man in a"), because
omitted words cost nothing.

The same dropout masks are used while captions are sampled and while the model learns from them: of features, of
embedding channels, and of units before the vocabulary. With different masks the captions would come from another
network, and their gradient would be meaningless; without dropout the model memorises its images.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from capsmith.core.errors import PluginError
from capsmith.data.batches import pad
from capsmith.data.records import Record
from capsmith.data.shuffling import epoch_order
from capsmith.data.sources import TrainingSource
from capsmith.decoding.config import GreedyConfig, SampleConfig
from capsmith.decoding.features import MaskedFeatures
from capsmith.decoding.hypotheses import Hypothesis
from capsmith.decoding.search import search
from capsmith.metrics.reward import CiderReward
from capsmith.models.captioner import Captioner
from capsmith.training.neighbour_reward import neighbour_reward

Masks = tuple[np.ndarray, np.ndarray]
_MASK_STREAM = 1  # separates the random numbers of masks from those of captions


@dataclass(frozen=True)
class _LoadedBatch:
    """A batch without captions: rows and features of its images, and dropout masks of embeddings and units."""

    index: int
    rows: np.ndarray
    features: np.ndarray
    masks: Masks


class SampledBatches:
    """Yields batches of captions sampled from the current model.

    A batch is ``({"features": (P, …), "tokens": (B, T), "weight": (B,), "dropout_masks": masks}, targets (B, T))``.
    Order and samples are functions of seed, epoch and batch index, so that a resumed training continues identically.

    Args:
        captioner: The model, its config and its vocabulary.
        source: The features or images.
        records: The training images with their references.
        flipped_ids: For each word id, the id to use for a mirror image, (V,); None if no image is mirrored.

    Attributes:
        rewards: Rewards of the epoch's captions so far.
        baselines: Their baselines.

    Raises:
        PluginError: The decoder has no ``widths``.
    """

    def __init__(
        self,
        captioner: Captioner,
        source: TrainingSource,
        records: Sequence[Record],
        flipped_ids: np.ndarray | None = None,
    ) -> None:
        self.captioner, self.source, self.flipped_ids = captioner, source, flipped_ids
        self.config, self.seed = captioner.config.training, captioner.config.seed
        self.rows = source.rows([record.image_id for record in records])
        self.images = max(1, self.config.batch_size // self.config.samples)
        text = captioner.config.text
        references: dict[Hashable, Sequence[Sequence[str]]] = {
            int(row): record.tokens(text) for row, record in zip(self.rows, records, strict=True)
        }
        self.reward_of = CiderReward(references, bleu=self.config.bleu_weight)
        self.neighbour_reward = (
            neighbour_reward(references, source, captioner.vocabulary, self.config.neighbours)
            if self.config.neighbours and len(references) > 1
            else None
        )
        self.rewards: list[float] = []
        self.baselines: list[float] = []
        if not hasattr(captioner.model.decoder, "widths"):
            raise PluginError(
                f"decoder '{captioner.config.decoder.type}' has no widths, which scst needs: see decoders.base"
            )
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Orders the images of an epoch and clears the rewards."""
        self.epoch = epoch
        rng = np.random.default_rng((self.seed, epoch))
        order = epoch_order(self.rows, rng, self.config.shuffle_window)
        self.order = self.source.draw(self.rows[order], rng)
        self.rewards, self.baselines = [], []
        # read here, because the prefetch thread must not read a variable during a training step
        standardise = getattr(self.captioner.model.decoder, "standardise", None)
        self.mean = 0.0 if standardise is None else np.array(keras.ops.convert_to_numpy(standardise.mean))

    @property
    def batch_size(self) -> int:
        """Captions in a batch (B)."""
        return self.images * self.config.samples

    def __len__(self) -> int:
        return -(-len(self.order) // self.images)

    def __getitem__(self, index: int) -> tuple[dict[str, Any], np.ndarray]:
        return self.finalize(self.load(index))

    def load(self, index: int) -> _LoadedBatch:
        """Returns features and dropout masks, which do not depend on the model. A prefetch thread may call it."""
        rows = self.order[index * self.images : (index + 1) * self.images]
        features, masks = self._drop(self.source.gather(np.resize(rows, self.images)), index)
        return _LoadedBatch(index, rows, features, masks)

    def finalize(self, batch: _LoadedBatch) -> tuple[dict[str, Any], np.ndarray]:
        """Samples the captions of a batch from the current model and weights them by their advantage."""
        rows, features, masks = batch.rows, batch.features, batch.masks
        encoded = self.captioner.members[0].encode(features) if self.captioner.config.trains_encoder else features
        masked = MaskedFeatures(encoded, masks)
        length = self.captioner.config.text.max_length
        seed = int(np.random.default_rng((self.seed, self.epoch, batch.index)).integers(2**32))
        sampling = SampleConfig(samples=self.config.samples, max_length=length, seed=seed)
        samples = search(self.captioner.stepper, masked, sampling)[: len(rows)]
        rewards = self._rewards(rows, samples)
        baseline = self._baseline(rows, masked, rewards)
        self.rewards += rewards.ravel().tolist()
        self.baselines += baseline.ravel().tolist()
        weight = np.zeros(self.batch_size, np.float32)
        weight[: rewards.size] = (rewards - baseline).ravel()
        sentences = [(hypothesis.tokens, hypothesis.ended) for hypotheses in samples for hypothesis in hypotheses]
        tokens, targets = pad(sentences, self.batch_size)
        return {"features": features, "tokens": tokens, "weight": weight, "dropout_masks": masks}, targets

    def _drop(self, features: np.ndarray, index: int) -> tuple[np.ndarray, Masks]:
        """Applies dropout to features and returns the masks of embeddings and units: (P, …), two of (P, C).

        A dropped feature is replaced by its mean over the training images; the others are scaled up as usual. Pixels
        are not dropped: their encoder has its own regularisation.
        """
        config, decoder = self.captioner.config, self.captioner.model.decoder
        keep = np.float32(1 - config.decoder.dropout)
        rng = np.random.default_rng((self.seed, self.epoch, index, _MASK_STREAM))

        def mask(*shape: int) -> np.ndarray:
            return (rng.random(shape, np.float32) < keep) / keep

        embeddings, units = (mask(len(features), width) for width in decoder.widths)
        if config.decoder.dropout and not config.trains_encoder:
            features = self.mean + (features - self.mean) * mask(*features.shape)
        return features, (embeddings, units)

    def _rewards(self, rows: np.ndarray, samples: list[list[Hypothesis]]) -> np.ndarray:
        """Returns the reward of each caption, (P, S)."""
        hypotheses = [hypothesis for per_image in samples for hypothesis in per_image]
        captions = [np.array(hypothesis.tokens, np.int64) for hypothesis in hypotheses]
        row_of_caption = np.repeat(rows, len(samples[0]))
        if self.flipped_ids is not None:  # references describe the original image: flip captions of mirrored ones back
            mirrored = self.source.flipped(row_of_caption)
            captions = [self.flipped_ids[ids] if flip else ids for ids, flip in zip(captions, mirrored, strict=True)]
        words = [self.captioner.vocabulary.decode(ids) for ids in captions]
        originals = self.source.original(row_of_caption).tolist()
        ended = [hypothesis.ended for hypothesis in hypotheses]
        rewards = self.reward_of.reward(originals, words, ended)
        if self.neighbour_reward is not None:
            rewards = rewards + self.config.neighbour_weight * self.neighbour_reward.reward(originals, words, ended)
        return rewards.reshape(len(rows), -1)

    def _baseline(self, rows: np.ndarray, features: MaskedFeatures, rewards: np.ndarray) -> np.ndarray:
        """Returns the baseline of each sample, (P, S) or (P, 1)."""
        if self.config.baseline == "leave_one_out":
            return (rewards.sum(axis=1, keepdims=True) - rewards) / (rewards.shape[1] - 1)
        greedy = GreedyConfig(max_length=self.captioner.config.text.max_length)
        return self._rewards(rows, search(self.captioner.stepper, features, greedy)[: len(rows)])
