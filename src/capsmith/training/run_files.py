"""The files of a run besides its training state."""

from abc import ABC, abstractmethod

import keras

from capsmith.config import AnyConfig, save_config
from capsmith.core.files import write_json
from capsmith.core.plugin_requirements import write_requirements
from capsmith.core.versions import installed_versions
from capsmith.evaluation.plots import plot_history
from capsmith.models.captioner import Captioner
from capsmith.models.loading import keras_members
from capsmith.models.run import RunDirectory
from capsmith.training.encoder_adaptation import copy_adapted_encoders
from capsmith.training.history import History


class RunFiles(ABC):
    """Writes the files of a run that stay the same while it trains, its history, and the best model.

    Args:
        config: The config of the training.
        run: The run directory.
        precision: Compute precision of the training.
    """

    def __init__(self, config: AnyConfig, run: RunDirectory, precision: str) -> None:
        self.config, self.run, self.precision = config, run, precision

    @abstractmethod
    def write_parts(self) -> None:
        """Writes the parts of the model that training does not change, such as vocabulary and encoder."""

    @abstractmethod
    def write_best(self) -> None:
        """Writes the model with its current weights, which are the best so far."""

    def write(self) -> None:
        """Writes all files except the history and the model.

        Raises:
            CapsmithError: The directory cannot be written.
        """
        self.write_config()
        self.write_parts()
        copy_adapted_encoders(self.config, self.run)

    def write_config(self) -> None:
        """Writes the config, the versions and the needed plugins, which may differ when a training is resumed."""
        backend = keras.backend.backend()
        write_json(self.run.versions, {**installed_versions(), "backend": backend, "precision": self.precision})
        save_config(self.config, self.run.config)
        write_requirements(self.config.components(), self.run.plugins)

    def write_history(self, history: History) -> None:
        """Writes ``history.csv`` and draws ``history.png``.

        Raises:
            CapsmithError: The directory cannot be written.
        """
        history.write_csv(self.run.history)
        plot_history(history.rows, self.run.history_plot, history.metric)


class CaptionerFiles(RunFiles):
    """The files of a captioner's run.

    Args:
        captioner: The captioner in training.
        run: The run directory.
        precision: Compute precision of the training.
    """

    def __init__(self, captioner: Captioner, run: RunDirectory, precision: str) -> None:
        super().__init__(captioner.config, run, precision)
        self.captioner = captioner

    def write_parts(self) -> None:
        """Writes the vocabulary, the encoder, and the description of the captioner."""
        keras_members(self.captioner.members)[0].save_parts(self.run.path)

    def write_best(self) -> None:
        """Writes the weights."""
        keras_members(self.captioner.members)[0].save_weights(self.run.path)
