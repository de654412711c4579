"""The history of a training: one row per epoch, and the decisions based on it (best epoch, patience, plateau)."""

import csv
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field

from capsmith.core.errors import CheckpointError
from capsmith.core.files import write_text
from capsmith.core.readers.file_schema import FileSchema
from capsmith.core.readers.number_tables import read_number_table
from capsmith.training.common.config import OptimisationConfig

Row = dict[str, float]
_ADVICE = "remove it to train from the start"


class _SavedHistory(FileSchema):
    metric: str
    rows: list[Row]
    scale: float = Field(gt=0)


@dataclass
class History:
    """The finished epochs.

    Attributes:
        metric: The dev score that selects the best epoch.
        rows: One per epoch: ``epoch`` (from 1), ``loss``, ``learning_rate``, dev scores as ``dev_…``, ``seconds``.
        scale: Factor that the ``plateau`` schedule applies to the learning rate.
    """

    metric: str
    rows: list[Row] = field(default_factory=list)
    scale: float = 1.0

    @property
    def epochs(self) -> int:
        """Number of finished epochs."""
        return len(self.rows)

    @property
    def best(self) -> int | None:
        """Index of the best row, the earliest in a tie; None before the first epoch."""
        if not self.rows:
            return None
        return max(range(len(self.rows)), key=lambda index: (self.score(index), -index))

    @property
    def epochs_since_best(self) -> int:
        """Number of epochs after the best one."""
        return 0 if self.best is None else len(self.rows) - 1 - self.best

    def score(self, index: int) -> float:
        """Returns the dev score of a row."""
        return self.rows[index][f"dev_{self.metric}"]

    def describe_best(self, label: str) -> str:
        """Returns a line about the best epoch; ``label`` says what its score is of."""
        best = self.best or 0
        return f"best epoch {self.rows[best]['epoch']:.0f}: {label} {self.metric} {self.score(best):.4f}"

    def add(self, row: Row, config: OptimisationConfig) -> bool:
        """Adds an epoch and updates the ``plateau`` scale; returns whether the epoch is the best so far."""
        self.rows.append(row)
        since = self.epochs_since_best
        if config.schedule == "plateau" and since and since % config.plateau_patience == 0:
            self.scale *= config.plateau_factor
        return since == 0

    def finished(self, config: OptimisationConfig) -> bool:
        """Returns whether all epochs are done or patience has run out."""
        out_of_patience = config.patience is not None and self.epochs_since_best >= config.patience
        return out_of_patience or self.epochs >= config.epochs

    def to_json(self) -> dict[str, Any]:
        """Returns the values that ``from_json`` reads."""
        return {"metric": self.metric, "rows": self.rows, "scale": self.scale}

    @classmethod
    def from_json(cls, state: dict[str, Any], where: str = "the training state") -> "History":
        """Reads a history from the JSON of a training state.

        Args:
            state: Holds the values of ``to_json``.
            where: Name of the file, for error messages.

        Raises:
            CheckpointError: The values are damaged.
        """
        saved = _SavedHistory.check(state, where, CheckpointError, _ADVICE, "has a damaged history")
        if fault := _fault(saved.rows, f"dev_{saved.metric}"):
            raise CheckpointError(f"{where} has a damaged history: {fault}; {_ADVICE}")
        return cls(saved.metric, saved.rows, saved.scale)

    def write_csv(self, path: Path) -> None:
        """Writes the rows as CSV, atomically."""
        text = io.StringIO()
        columns = dict.fromkeys(key for row in self.rows for key in row)  # a resumed run may compute other metrics
        writer = csv.DictWriter(text, list(columns) or ["epoch"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(path, text.getvalue())


def read_csv(path: Path) -> list[Row]:
    """Returns the rows of a ``history.csv``. A row has no entry where its cell is empty.

    Raises:
        CheckpointError: The file is damaged: cells that are not numbers, rows of unequal length, epochs out of order.
    """
    advice = "copy it again, or delete it and run train --resume for that run"
    rows = read_number_table(path, CheckpointError, advice)
    if fault := _fault(rows):
        raise CheckpointError(f"{path} is damaged: {fault}; {advice}")
    return rows


def _fault(rows: list[Row], *required: str) -> str:
    """Describes an error in the order of epochs, or a missing column; empty if there is none."""
    for number, row in enumerate(rows, start=1):
        if row.get("epoch") != number:
            return f"row {number} is not of epoch {number}"
        if absent := [name for name in required if name not in row]:
            return f"epoch {number} has no {absent[0]}"
    return ""
