"""What the objectives of captioners share."""

import keras

from capsmith.models.captioner import Captioner
from capsmith.training.config import TrainingConfig
from capsmith.training.objective import Objective, Samples, TrainingBatches
from capsmith.training.optimizers import optimizer_of


class CaptionObjective(Objective):
    """An objective of captioners, with scheduled sampling.

    Args:
        captioner: The captioner to train.
        batches: The batches to train on.
    """

    config: TrainingConfig

    def __init__(self, captioner: Captioner, batches: TrainingBatches) -> None:
        super().__init__(captioner.model, captioner.config.training, batches)
        self.captioner = captioner
        if self.config.scheduled_sampling:
            self.model.sample_inputs()

    @property
    def name(self) -> str:
        """The type of the decoder."""
        return self.captioner.config.decoder.type

    def optimizer(self) -> keras.optimizers.Optimizer:
        """Returns the optimizer that the captioner's config defines."""
        return optimizer_of(self.captioner)

    def start_epoch(self, epoch: int, samples: Samples) -> None:
        """Orders the batches of an epoch, and sets the rate of scheduled sampling."""
        super().start_epoch(epoch, samples)
        if self.model.mixing is not None:
            self.model.mixing.assign(self.config.scheduled_sampling * epoch / max(self.config.epochs - 1, 1))
