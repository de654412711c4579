"""What happened in each epoch, and what follows from it: best epoch, patience, plateau."""

import csv
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field

from capsmith.core.errors import CheckpointError
from capsmith.core.files import write_text
from capsmith.core.readers.json_files import FileSchema
from capsmith.core.readers.number_tables import read_number_table
from capsmith.training.config import TrainingConfig

Row = dict[str, float]
_ADVICE = "remove it to train from the start"


class _SavedHistory(FileSchema):
    metric: str
    rows: list[Row]
    scale: float = Field(gt=0)


@dataclass
class History:
    """The epochs so far.

    Attributes:
        metric: The dev score that decides.
        rows: One an epoch: ``epoch`` (from 1), ``loss``, ``learning_rate``, the dev scores as ``dev_…``, ``seconds``.
        scale: What ``plateau`` has multiplied the learning rate by.
    """

    metric: str
    rows: list[Row] = field(default_factory=list)
    scale: float = 1.0

    @property
    def epochs(self) -> int:
        """Epochs done."""
        return len(self.rows)

    @property
    def best(self) -> int | None:
        """Index of the best row, the earlier one of equals; None before the first epoch."""
        if not self.rows:
            return None
        return max(range(len(self.rows)), key=lambda index: (self.score(index), -index))

    def score(self, index: int) -> float:
        """Returns the deciding dev score of one row."""
        return self.rows[index][f"dev_{self.metric}"]

    def add(self, row: Row, config: TrainingConfig) -> bool:
        """Adds an epoch and lets ``plateau`` act; returns whether it is the best so far."""
        self.rows.append(row)
        since = self.since_best
        if config.schedule == "plateau" and since and since % config.plateau_patience == 0:
            self.scale *= config.plateau_factor
        return since == 0

    @property
    def since_best(self) -> int:
        """Epochs since the best one."""
        return 0 if self.best is None else len(self.rows) - 1 - self.best

    def finished(self, config: TrainingConfig) -> bool:
        """Whether training is over: all epochs done, or patience used up."""
        tired = config.patience is not None and self.since_best >= config.patience
        return tired or self.epochs >= config.epochs

    def to_json(self) -> dict[str, Any]:
        """Returns what ``from_json`` takes."""
        return {"metric": self.metric, "rows": self.rows, "scale": self.scale}

    @classmethod
    def from_json(cls, value: dict[str, Any], where: str = "the training state") -> "History":
        """Restores a history.

        Args:
            value: What ``to_json`` gave.
            where: What to call its file in a message.

        Raises:
            CheckpointError: It is damaged.
        """
        saved = _SavedHistory.check(value, where, CheckpointError, _ADVICE, "has a damaged history")
        if wrong := _misplaced(saved.rows, f"dev_{saved.metric}"):
            raise CheckpointError(f"{where} has a damaged history: {wrong}; {_ADVICE}")
        return cls(saved.metric, saved.rows, saved.scale)

    def write_csv(self, path: Path) -> None:
        """Writes the rows as CSV, atomically."""
        text = io.StringIO()
        columns = dict.fromkeys(key for row in self.rows for key in row)  # a resumed run may score more, or less
        writer = csv.DictWriter(text, list(columns) or ["epoch"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(path, text.getvalue())


def read_csv(path: Path) -> list[Row]:
    """Reads the rows of a ``history.csv``; what an epoch did not measure is left out.

    Raises:
        CheckpointError: It is damaged: cells that are no numbers, rows of another length, epochs out of order.
    """
    advice = "copy it again, or delete it and say train --resume for that run"
    rows = read_number_table(path, CheckpointError, advice)
    if wrong := _misplaced(rows):
        raise CheckpointError(f"{path} is damaged: {wrong}; {advice}")
    return rows


def _misplaced(rows: list[Row], *needed: str) -> str:
    """Returns what is wrong with the order of epochs, or which column one lacks; empty when nothing is."""
    for number, row in enumerate(rows, start=1):
        if row.get("epoch") != number:
            return f"row {number} is not of epoch {number}"
        if absent := [name for name in needed if name not in row]:
            return f"epoch {number} has no {absent[0]}"
    return ""
