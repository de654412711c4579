"""Self-critical training: batches of the model's own captions, weighted by how much better they are than expected.

P images · S samples an image · B = P · S captions · T tokens.

Cross-entropy asks for the references' words one at a time, given the references' words before; a search is later
judged by whole captions of its own. Rennie et al. 2017 sample captions, reward each with its CIDEr-D, and raise the
probability of those that beat a baseline: the image's greedy caption, or the mean of its other samples (Luo 2020,
"A better variant of self-critical sequence training").

The end of a sentence counts as a word in the reward. Without it, models learn to break off ("a man in a"), since the
words that they leave out cost nothing.

Dropout hides the same things while an image's captions are drawn and while they are learned from: features, channels
of the words, and units before the vocabulary. Drawn otherwise they would be another network's captions, and praise or
blame would teach nothing; without dropout a model learns its images by heart.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from capsmith.core.errors import PluginError
from capsmith.data.batches import pad
from capsmith.data.records import Record
from capsmith.data.sources import TrainingSource
from capsmith.decoding.search import GreedyConfig, Hypothesis, SampleConfig, search
from capsmith.decoding.stepper import MaskedFeatures
from capsmith.metrics.reward import CiderReward
from capsmith.models.captioner import Captioner

DropoutMasks = tuple[np.ndarray, np.ndarray]
_HIDING = 1  # keeps the draws of hidden features apart from those of captions


@dataclass(frozen=True)
class _Drawn:
    """A batch before its captions: which images, their features, and what is dropout_masks of words and units."""

    index: int
    rows: np.ndarray
    features: np.ndarray
    dropout_masks: DropoutMasks


class SampledBatches:
    """Yields batches of the model's own captions, from the model as it is.

    That is ``({"features": (P, …), "tokens": (B, T), "weight": (B,), "dropout_masks": two (P, C)}, targets (B, T))``.
    Images' order and samples are functions of seed, epoch and batch, so that a resumed training goes on the same.

    Args:
        captioner: The model, its config and its words.
        source: The features or images.
        records: The images to train on, with their references.
        mirror: The word to say of a mirrored image in the place of each (V,), where the source has views.
    """

    def __init__(
        self,
        captioner: Captioner,
        source: TrainingSource,
        records: Sequence[Record],
        mirror: np.ndarray | None = None,
    ) -> None:
        self.captioner, self.source, self.mirror = captioner, source, mirror
        self.config, self.seed = captioner.config.training, captioner.config.seed
        self.rows = source.rows([record.image_id for record in records])
        self.images = max(1, self.config.batch_size // self.config.samples)
        text = captioner.config.text
        references: dict[Hashable, Sequence[Sequence[str]]] = {
            int(row): record.tokens(text) for row, record in zip(self.rows, records, strict=True)
        }
        self.reward_of = CiderReward(references, bleu=self.config.bleu_weight)
        self.rewards: list[float] = []
        self.baselines: list[float] = []
        if not hasattr(captioner.model.decoder, "widths"):
            raise PluginError(
                f"decoder '{captioner.config.decoder.type}' has no widths, which scst needs: see decoders.base"
            )
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Orders the images for an epoch, and forgets the rewards of the one before."""
        self.epoch = epoch
        rng = np.random.default_rng((self.seed, epoch))
        self.order = self.source.draw(rng.permutation(self.rows), rng)
        self.rewards, self.baselines = [], []
        standardise = getattr(
            self.captioner.model.decoder, "standardise", None
        )  # read here: a thread may not while a step has it
        self.mean = 0.0 if standardise is None else np.array(keras.ops.convert_to_numpy(standardise.mean))

    @property
    def batch_size(self) -> int:
        """Captions a batch (B)."""
        return self.images * self.config.samples

    def __len__(self) -> int:
        return -(-len(self.order) // self.images)

    def __getitem__(self, index: int) -> tuple[dict[str, Any], np.ndarray]:
        return self.finalize(self.load(index))

    def load(self, index: int) -> "_Drawn":
        """Returns what a batch shows, which does not depend on the model and can be had while the one before learns."""
        rows = self.order[index * self.images : (index + 1) * self.images]
        features, dropout_masks = self._hidden(self.source.gather(np.resize(rows, self.images)), index)
        return _Drawn(index, rows, features, dropout_masks)

    def finalize(self, drawn: "_Drawn") -> tuple[dict[str, Any], np.ndarray]:
        """Lets the model, as it is now, write the captions of a batch, and weighs them."""
        rows, features, dropout_masks = drawn.rows, drawn.features, drawn.dropout_masks
        real = len(rows)
        encoded = self.captioner.members[0].encode(features) if self.captioner.config.trains_encoder else features
        seen = MaskedFeatures(encoded, dropout_masks)
        length = self.captioner.config.text.max_length
        seed = int(np.random.default_rng((self.seed, self.epoch, drawn.index)).integers(2**32))
        drawing = SampleConfig(samples=self.config.samples, max_length=length, seed=seed)
        samples = search(self.captioner.stepper, seen, drawing)[:real]
        rewards = self._rewards(rows, samples)
        baseline = self._baseline(rows, seen, rewards)
        self.rewards += rewards.ravel().tolist()
        self.baselines += baseline.ravel().tolist()
        weight = np.zeros(self.batch_size, np.float32)
        weight[: rewards.size] = (rewards - baseline).ravel()
        sentences = [(hypothesis.tokens, hypothesis.ended) for found in samples for hypothesis in found]
        tokens, targets = pad(sentences, self.batch_size)
        return {"features": features, "tokens": tokens, "weight": weight, "dropout_masks": dropout_masks}, targets

    def _hidden(self, features: np.ndarray, index: int) -> tuple[np.ndarray, DropoutMasks]:
        """Hides some features behind what they are on average, and says what else is hidden: dropout for a batch.

        What is not hidden is stretched, as usual. Pixels are not hidden: their encoder has its own regularisation.
        """
        config, decoder = self.captioner.config, self.captioner.model.decoder
        kept = np.float32(1 - config.decoder.dropout)
        rng = np.random.default_rng((self.seed, self.epoch, index, _HIDING))

        def mask(*shape: int) -> np.ndarray:
            return (rng.random(shape, np.float32) < kept) / kept

        words, last = (mask(len(features), width) for width in decoder.widths)
        if config.decoder.dropout and not config.trains_encoder:
            features = self.mean + (features - self.mean) * mask(*features.shape)
        return features, (words, last)

    def _rewards(self, rows: np.ndarray, found: list[list[Hypothesis]]) -> np.ndarray:
        """Returns (P, S)."""
        each = [hypothesis for samples in found for hypothesis in samples]
        said = [np.array(hypothesis.tokens, np.int64) for hypothesis in each]
        ids = np.repeat(rows, len(found[0]))
        if self.mirror is not None:  # flipped back, since the references describe the original image
            flipped = self.source.flipped(ids)
            said = [self.mirror[ids] if back else ids for ids, back in zip(said, flipped, strict=True)]
        ids = self.source.original(ids)
        words = [self.captioner.vocabulary.decode(one) for one in said]
        return self.reward_of.reward(ids.tolist(), words, [hypothesis.ended for hypothesis in each]).reshape(
            len(rows), -1
        )

    def _baseline(self, rows: np.ndarray, features: MaskedFeatures, rewards: np.ndarray) -> np.ndarray:
        """Returns what was to be expected of each sample, (P, S) or (P, 1)."""
        if self.config.baseline == "leave_one_out":
            return (rewards.sum(axis=1, keepdims=True) - rewards) / (rewards.shape[1] - 1)
        greedy = GreedyConfig(max_length=self.captioner.config.text.max_length)
        found = search(self.captioner.stepper, features, greedy)[: len(rows)]
        return self._rewards(rows, found)
