"""Training time over all sessions, that is, the processes that worked on one training."""

import math
import time
from dataclasses import dataclass, field
from typing import Any

from capsmith.core.errors import CheckpointError
from capsmith.training.history import Row


@dataclass
class Sessions:
    """Counts the sessions of a training. A killed session counts up to its last saved state.

    Attributes:
        number: This session's number, from 1.
        before: Seconds that the earlier sessions took.
        started: Start of this session, by ``time.perf_counter``.
    """

    number: int = 1
    before: float = 0.0
    started: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """Seconds of this session so far."""
        return time.perf_counter() - self.started

    def __str__(self) -> str:
        total = f"{(self.before + self.seconds) / 60:.1f} minutes"
        return total if self.number == 1 else f"{total} ({self.number} sessions, this one {self.seconds / 60:.1f})"

    def to_json(self) -> dict[str, Any]:
        """Returns the values that ``resume`` reads."""
        return {"sessions": {"number": self.number, "seconds": self.before + self.seconds}}

    def resume(self, state: dict[str, Any], rows: list[Row], where: str) -> None:
        """Adds the sessions before this one.

        Args:
            state: The JSON of the training state, with the values of ``to_json``.
            rows: The finished epochs: states of older versions hold no session count, so their seconds are summed.
            where: Name of the file, for error messages.

        Raises:
            CheckpointError: The values are damaged.
        """
        default = {"number": 1, "seconds": sum(row.get("seconds", 0.0) for row in rows)}
        saved = state.get("sessions", default)
        try:
            number, seconds = int(saved["number"]), float(saved["seconds"])
        except (KeyError, TypeError, ValueError, OverflowError):
            number, seconds = 0, math.nan
        if not (0 < number < 10**6 and 0 <= seconds < math.inf):
            raise CheckpointError(f"{where} is damaged: it has no valid 'sessions'; remove it to train from the start")
        self.number, self.before = number + 1, seconds
