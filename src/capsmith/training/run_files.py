"""The files of a run besides its weights and its training state."""

import keras

from capsmith.config import save_config
from capsmith.core.files import write_json
from capsmith.core.plugin_requirements import write_requirements
from capsmith.core.versions import installed_versions
from capsmith.evaluation.plots import plot_history
from capsmith.models.captioner import Captioner
from capsmith.models.loading import keras_members
from capsmith.models.run import RunDirectory
from capsmith.training.encoder_adaptation import copy_adapted_encoders
from capsmith.training.history import History


class RunFiles:
    """Writes the files of a run that stay the same while it trains, and its history.

    Args:
        captioner: The captioner in training.
        run: The run directory.
        precision: Compute precision of the training.
    """

    def __init__(self, captioner: Captioner, run: RunDirectory, precision: str) -> None:
        self.captioner, self.run, self.precision = captioner, run, precision

    def write(self) -> None:
        """Writes all files except the history.

        Raises:
            CapsmithError: The directory cannot be written.
        """
        self.write_config()
        keras_members(self.captioner.members)[0].save_parts(self.run.path)
        copy_adapted_encoders(self.captioner.config, self.run)

    def write_config(self) -> None:
        """Writes the config, the versions and the needed plugins, which may differ when a training is resumed."""
        backend = keras.backend.backend()
        write_json(self.run.versions, {**installed_versions(), "backend": backend, "precision": self.precision})
        save_config(self.captioner.config, self.run.config)
        write_requirements(self.captioner.config.components(), self.run.plugins)

    def write_history(self, history: History) -> None:
        """Writes ``history.csv`` and draws ``history.png``.

        Raises:
            CapsmithError: The directory cannot be written.
        """
        history.write_csv(self.run.history)
        plot_history(history.rows, self.run.history_plot, history.metric)
