"""Progress within one epoch, from which an interrupted training resumes."""

from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic import Field

from capsmith.core.errors import CheckpointError
from capsmith.core.readers.file_schema import FileSchema


class _SavedProgress(FileSchema, extra="forbid"):
    epoch: int = Field(ge=0)
    step: int = Field(ge=0)
    loss: float
    words: int = Field(ge=0)
    rate: float = Field(ge=0)
    seconds: float = Field(ge=0)
    rewards: list[float] = []
    baselines: list[float] = []


@dataclass
class EpochProgress:
    """The progress of an epoch.

    Attributes:
        epoch: Index of the epoch, from 0.
        step: Batches trained on.
        loss: Sum of the loss over words, in nats.
        words: Number of these words.
        rate: Last learning rate.
        seconds: Duration so far, over all sessions.
        samples: Values of the captions so far, by name; see ``Objective.samples``.
    """

    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    words: int = 0
    rate: float = 0.0
    seconds: float = 0.0
    samples: dict[str, list[float]] = field(default_factory=dict)

    @property
    def mean_loss(self) -> float:
        """Mean loss per word, in nats."""
        return self.loss / max(self.words, 1)

    def add(self, loss: float, words: int) -> None:
        """Adds a batch with a mean loss over some words."""
        self.step += 1
        self.loss += loss * words
        self.words += words

    def to_json(self) -> dict[str, Any]:
        """Returns the values that ``from_json`` reads."""
        values = asdict(self)
        return {"pass": values | values.pop("samples")}

    @classmethod
    def from_json(cls, state: dict[str, Any], where: str, epoch: int, steps: int) -> "EpochProgress":
        """Reads the progress from a training state. A state saved at the end of an epoch holds none.

        Args:
            state: The JSON of the training state, with the values of ``to_json`` if it was saved within an epoch.
            where: Name of the file, for error messages.
            epoch: Number of finished epochs.
            steps: Batches in an epoch.

        Raises:
            CheckpointError: The values are damaged, or belong to another number of batches.
        """
        if "pass" not in state:
            return cls(epoch)
        advice = "remove it to train from the start"
        saved = _SavedProgress.check(state["pass"], where, CheckpointError, advice, "is damaged within an epoch")
        if saved.epoch != epoch or saved.step > steps:
            raise CheckpointError(
                f"{where} is damaged within an epoch: it was saved at batch {saved.step} of epoch {saved.epoch + 1}, "
                f"but {epoch} epochs of {steps} batches are finished; {advice}"
            )
        values = saved.model_dump()
        samples = {name: values.pop(name) for name in ("rewards", "baselines")}
        return cls(**values, samples={name: value for name, value in samples.items() if value})
