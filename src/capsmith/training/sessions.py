"""How long a training took in all the processes that went on with it."""

import math
import time
from dataclasses import dataclass, field
from typing import Any

from capsmith.core.errors import CheckpointError
from capsmith.training.history import Row


@dataclass
class Sessions:
    """The processes of one training; one that was killed counts as far as it had saved.

    Attributes:
        number: Which one this is, from 1.
        before: Seconds that the earlier ones took.
        started: When this one began, by ``time.perf_counter``.
    """

    number: int = 1
    before: float = 0.0
    started: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """Seconds of this one so far."""
        return time.perf_counter() - self.started

    def __str__(self) -> str:
        total = f"{(self.before + self.seconds) / 60:.1f} minutes"
        return total if self.number == 1 else f"{total} ({self.number} sessions, this one {self.seconds / 60:.1f})"

    def to_json(self) -> dict[str, Any]:
        """Returns what ``go_on`` takes."""
        return {"sessions": {"number": self.number, "seconds": self.before + self.seconds}}

    def go_on(self, progress: dict[str, Any], rows: list[Row], where: str) -> None:
        """Counts the sessions before this one.

        Args:
            progress: What holds what ``to_json`` gave.
            rows: The epochs so far: states of older versions tell no more.
            where: What to call its file in a message.

        Raises:
            CheckpointError: It is damaged.
        """
        known = {"number": 1, "seconds": sum(row.get("seconds", 0.0) for row in rows)}
        found = progress.get("sessions", known)
        try:
            number, seconds = int(found["number"]), float(found["seconds"])
        except (KeyError, TypeError, ValueError, OverflowError):
            number, seconds = 0, math.nan
        if not (0 < number < 10**6 and 0 <= seconds < math.inf):
            raise CheckpointError(f"{where} does not say how long it took: it is damaged (remove it to train anew)")
        self.number, self.before = number + 1, seconds
