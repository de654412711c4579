"""The interface between the training loop and an objective, which training minimises."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Protocol

import keras
import numpy as np

from capsmith.core.compilation import training_step
from capsmith.core.devices import training_devices
from capsmith.data.text.vocabulary import PAD
from capsmith.training.common.config import OptimisationConfig
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
        """Returns the inputs, with ``"tokens"`` (B, T), and the targets of a loaded batch."""


class Objective(ABC):
    """A training objective: its batches, its training step, and its values in the history and the state.

    Args:
        model: The network to train.
        config: The settings of the training.
        batches: The batches to train on.
    """

    size_key = "decoder.units"
    """The setting that makes the network smaller, for advice when memory runs out."""

    def __init__(self, model: keras.Model, config: OptimisationConfig, batches: TrainingBatches) -> None:
        self.model, self.config, self.batches = model, config, batches

    @property
    @abstractmethod
    def name(self) -> str:
        """The kind of network for the log, such as ``merge``."""

    @property
    @abstractmethod
    def summary(self) -> str:
        """Description of the batches for the log, such as ``12% padding``."""

    @abstractmethod
    def progress(self, row: Row) -> str:
        """Returns the description of an epoch for the log, such as ``loss 2.1453``."""

    @abstractmethod
    def optimizer(self) -> keras.optimizers.Optimizer:
        """Returns the optimizer of the training."""

    def weight(self, targets: np.ndarray) -> int:
        """Returns the weight of a batch in the mean loss of an epoch: here the number of its words."""
        return int(np.count_nonzero(targets != PAD))

    def row_fields(self, predictions: Any) -> Row:
        """Returns the columns that the objective adds to an epoch's row of the history.

        Args:
            predictions: What the validation predicted for the dev images after the epoch.
        """
        return {}

    def start_epoch(self, epoch: int, samples: Samples) -> None:
        """Orders the batches of an epoch.

        Args:
            epoch: Counted from 0.
            samples: The value of ``samples`` saved within this epoch, if it is resumed; else empty.
        """
        self.batches.set_epoch(epoch)

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
        return training_step(self.model, training_devices(self.config.distribute))
