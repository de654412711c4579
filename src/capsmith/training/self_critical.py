"""Self-critical training: raises the probability of sampled captions whose reward beats a baseline.

Cross-entropy predicts each word given the reference's words before it, but metrics score the complete captions that a
search generates. Rennie et al. 2017 sample captions, reward each with its CIDEr-D, and raise the probability of those
that beat a baseline: the image's greedy caption, or the mean of its other samples (Luo 2020, "A better variant of
self-critical sequence training").
"""

from collections.abc import Mapping

import numpy as np

from capsmith.metrics.diversity import diversity
from capsmith.models.captioner import Captioner
from capsmith.training.caption_objective import CaptionObjective
from capsmith.training.history import Row
from capsmith.training.objective import Samples
from capsmith.training.sampled_batches import SampledBatches
from capsmith.training.training_images import TrainingImages


class SelfCritical(CaptionObjective):
    """Maximises the reward of sampled captions by policy gradient.

    Args:
        captioner: A captioner that was trained with cross-entropy.
        images: The training images.

    Raises:
        PluginError: The decoder does not declare the widths of its dropout masks.
    """

    batches: SampledBatches

    def __init__(self, captioner: Captioner, images: TrainingImages) -> None:
        super().__init__(captioner, SampledBatches(captioner, images.source, images.records, images.flipped_ids))

    @property
    def summary(self) -> str:
        """Description of the batches, which consist of sampled captions."""
        return "all sampled"

    def progress(self, row: Row) -> str:
        """Returns the mean reward."""
        return f"reward {row['reward']:.4f}"

    def row_fields(self, predictions: Mapping[str, str]) -> Row:
        """Returns the mean reward and baseline, and the share of truncated dev captions."""
        return {
            "reward": float(np.mean(self.batches.rewards)),
            "baseline": float(np.mean(self.batches.baselines)),
            "dev_broken": diversity([caption.split() for caption in predictions.values()]).broken,
        }

    def start_epoch(self, epoch: int, samples: Samples) -> None:
        """Orders the images of an epoch and restores the rewards of its batches so far."""
        super().start_epoch(epoch, samples)
        self.batches.rewards = list(samples.get("rewards", []))
        self.batches.baselines = list(samples.get("baselines", []))

    @property
    def samples(self) -> Samples:
        """Rewards and baselines of the epoch's captions so far."""
        return {"rewards": self.batches.rewards, "baselines": self.batches.baselines}
