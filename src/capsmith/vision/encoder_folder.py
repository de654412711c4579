"""The files of a frozen or trained encoder on disk. Their names are defined only here."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class EncoderFolder:
    """A folder that holds one encoder: a run, ``encoder_N`` of a run with several, or the output of word pretraining.

    Attributes:
        path: The folder. It need not exist.
    """

    path: Path

    @property
    def description(self) -> Path:
        """JSON with the fingerprint of the encoder."""
        return self.path / "encoder.json"

    @property
    def weights(self) -> Path:
        """Weights of a built-in network."""
        return self.path / "encoder.weights.h5"

    @property
    def network(self) -> Path:
        """The complete network, for ``encoder.type: custom``."""
        return self.path / "encoder.keras"

    @property
    def pretraining(self) -> Path:
        """JSON with the settings and scores of a finished word pretraining."""
        return self.path / "adapted.json"

    @property
    def pretraining_state(self) -> Path:
        """State from which an interrupted word pretraining resumes."""
        return self.path / "adapting.npz"

    @property
    def files_in_run(self) -> tuple[Path, ...]:
        """All files of an encoder that a run keeps."""
        return self.pretraining, self.description, self.network, self.weights

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that capsmith writes into this folder."""
        return *self.files_in_run, self.pretraining_state


def encoder_folders(run: Path, count: int) -> list[EncoderFolder]:
    """Returns each encoder's folder in a run: the run itself for a single one, else ``encoder_1``, ``encoder_2`` …."""
    if count == 1:
        return [EncoderFolder(run)]
    return [EncoderFolder(run / f"encoder_{number + 1}") for number in range(count)]
