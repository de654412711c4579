"""How far one pass over the images has come: what a training goes on from within an epoch."""

from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic import Field

from capsmith.core.errors import CheckpointError
from capsmith.core.readers.json_files import FileSchema


class _SavedPass(FileSchema, extra="forbid"):
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
    """One pass, as far as it is.

    Attributes:
        epoch: Which, from 0.
        step: Batches that were learned from.
        loss: Sum over words.
        words: How many.
        rate: Last learning rate.
        seconds: Time it took so far, in whichever processes.
        rewards: Of the captions that were drawn, in self-critical training.
        baselines: What was expected of them.
    """

    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    words: int = 0
    rate: float = 0.0
    seconds: float = 0.0
    rewards: list[float] = field(default_factory=list)
    baselines: list[float] = field(default_factory=list)

    @property
    def mean_loss(self) -> float:
        """Mean loss of a word."""
        return self.loss / max(self.words, 1)

    def add(self, loss: float, words: int) -> None:
        """Counts a batch with this mean loss over so many words."""
        self.step += 1
        self.loss += loss * words
        self.words += words

    def to_json(self) -> dict[str, Any]:
        """Returns what ``from_json`` takes."""
        return {"pass": asdict(self)}

    @classmethod
    def from_json(cls, progress: dict[str, Any], where: str, epoch: int, steps: int) -> "EpochProgress":
        """Restores a pass; a state from an epoch's end has none, and the next one begins.

        Args:
            progress: What holds what ``to_json`` gave.
            where: What to call its file in a message.
            epoch: Epochs that are done.
            steps: Batches of a pass.

        Raises:
            CheckpointError: It is damaged, or of another number of batches.
        """
        if "pass" not in progress:
            return cls(epoch)
        advice = "remove it to train from the start"
        saved = _SavedPass.check(progress["pass"], where, CheckpointError, advice, "is damaged within an epoch")
        if saved.epoch != epoch or saved.step > steps:
            raise CheckpointError(
                f"{where} is damaged within an epoch: it is of batch {saved.step} of epoch {saved.epoch + 1}, "
                f"but {epoch} epochs are done, each of {steps} batches; {advice}"
            )
        return cls(**saved.model_dump())
