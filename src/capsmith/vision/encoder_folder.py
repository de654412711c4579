"""The files of a frozen or trained encoder on disk. Their names are defined only here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any


class FileName:
    """A file of a folder by its name: an attribute of the class, and in an object the path of its file."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, folder: Any, owner: type | None = None) -> Path:
        path: Path = folder.path
        return path / self.name


@dataclass(frozen=True)
class EncoderFolder:
    """A folder that holds one encoder: a run, ``encoder_N`` of a run with several, or the output of word pretraining.

    Attributes:
        path: The folder. It need not exist.
    """

    path: Path

    description = FileName("encoder.json")
    """JSON with the fingerprint of the encoder."""
    weights = FileName("encoder.weights.h5")
    """Weights of a built-in network."""
    network = FileName("encoder.keras")
    """The complete network, for ``encoder.type: custom``."""
    exported = FileName("encoder.onnx")
    """The file of ``encoder.type: onnx``."""
    pretraining = FileName("adapted.json")
    """JSON with the settings and scores of a finished word pretraining."""
    pretraining_state = FileName("adapting.npz")
    """State from which an interrupted word pretraining resumes."""

    @property
    def files_in_run(self) -> tuple[Path, ...]:
        """All files of an encoder that a run keeps."""
        return self.pretraining, self.description, self.network, self.weights, self.exported

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that capsmith writes into this folder."""
        return *self.files_in_run, self.pretraining_state


def encoder_folders(run: Path, count: int) -> list[EncoderFolder]:
    """Returns each encoder's folder in a run: the run itself for a single one, else ``encoder_1``, ``encoder_2`` …."""
    if count == 1:
        return [EncoderFolder(run)]
    return [EncoderFolder(run / f"encoder_{number + 1}") for number in range(count)]
