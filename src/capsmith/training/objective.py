"""The interface between the training loop and an objective, which training minimises."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from typing import Any, Protocol

import keras
import numpy as np

from capsmith.core.compilation import training_step
from capsmith.models.captioner import Captioner
from capsmith.training.history import Row

Samples = dict[str, list[float]]
"""Values of the captions of an unfinished epoch, by name, which an objective adds to the training state."""


class TrainingBatches(Protocol):
    """Batches whose order is a function of seed and epoch, so that a resumed training gets the same ones."""

    @property
    def batch_size(self) -> int:
        """Captions in a batch (B)."""

    def __len__(self) -> int: ...

    def set_epoch(self, epoch: int) -> None:
        """Orders the batches of an epoch, counted from 0."""

    def load(self, index: int) -> Any:
        """Returns the part of a batch that does not depend on the model. A prefetch thread calls it."""

    def finalize(self, batch: Any) -> tuple[dict[str, Any], np.ndarray]:
        """Returns the inputs and targets (B, T) of a loaded batch."""


class Objective(ABC):
    """A training objective: its batches, its training step, and its values in the history and the state.

    Args:
        captioner: The captioner to train.
        batches: The batches to train on.
    """

    def __init__(self, captioner: Captioner, batches: TrainingBatches) -> None:
        self.captioner, self.batches = captioner, batches
        self.config, self.model = captioner.config.training, captioner.model
        if self.config.scheduled_sampling:
            self.model.sample_inputs()

    @property
    @abstractmethod
    def summary(self) -> str:
        """Description of the batches for the log, such as ``12% padding``."""

    @abstractmethod
    def progress(self, row: Row) -> str:
        """Returns the description of an epoch for the log, such as ``loss 2.1453``."""

    def row_fields(self, dev_captions: Collection[str]) -> Row:
        """Returns the columns that the objective adds to an epoch's row of the history.

        Args:
            dev_captions: The captions of the dev images after the epoch.
        """
        return {}

    def start_epoch(self, epoch: int, samples: Samples) -> None:
        """Orders the batches of an epoch.

        Args:
            epoch: Counted from 0.
            samples: The value of ``samples`` saved within this epoch, if it is resumed; else empty.
        """
        self.batches.set_epoch(epoch)
        if self.model.mixing is not None:
            self.model.mixing.assign(self.config.scheduled_sampling * epoch / max(self.config.epochs - 1, 1))

    @property
    def samples(self) -> Samples:
        """Values that a state saved within an epoch holds besides the model and the position."""
        return {}

    def compile(self, optimizer: keras.optimizers.Optimizer) -> Callable[[dict[str, Any], np.ndarray], float]:
        """Compiles the model; returns a function that takes one training step and returns the loss.

        Only JAX uses Keras's ``jit_compile`` (XLA): TensorFlow would compile once for each shape, PyTorch in each call.
        """
        self.model.compile(optimizer, jit_compile=keras.backend.backend() == "jax")
        self.model.optimizer.build(self.model.trainable_variables)
        return training_step(self.model)
