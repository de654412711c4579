"""How far a long piece of work is: a bar on a terminal, else a line a minute at most, for a log file."""

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import Any, Protocol, Self, TypeVar

from tqdm import tqdm

from capsmith.core.log import get_logger

logger = get_logger(__name__)

T = TypeVar("T")
EVERY = 60.0
"""Seconds between two lines where no terminal shows a bar; what takes less is not told."""


class Bar(Protocol):
    """What ``bar`` returns: a context that is told how far the work is."""

    def __enter__(self) -> Self:
        """Begins."""

    def __exit__(self, *error: Any) -> Any:
        """Ends."""

    def update(self, n: int = 1) -> Any:
        """Counts what was done."""

    def set_postfix(self, *, refresh: bool = True, **values: Any) -> Any:
        """Sets what is shown beside the count."""


class Lines:
    """Tells a log how far the work is, and how long the rest will take at the speed so far.

    Args:
        total: How much there is to do; None when nobody knows.
        desc: What is done.
        unit: Of what it is counted in.
        initial: How much was done before.
    """

    def __init__(self, total: int | None, desc: str = "", unit: str = "step", initial: int = 0) -> None:
        self.total, self.desc, self.unit = total, desc, unit
        self.done = self.first = initial
        self.beside = ""
        self.started = self.last = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        """Tells nothing: what was done is told by whoever did it."""

    def set_postfix(self, *, refresh: bool = True, **values: Any) -> None:
        """Sets what the next line adds."""
        self.beside = ", ".join(f"{key} {value}" for key, value in values.items())

    def update(self, n: int = 1) -> None:
        """Counts, and tells when a minute is over."""
        self.done += n
        now = time.monotonic()
        if now - self.last < EVERY:
            return
        self.last = now
        logger.info(self._line((now - self.started) / max(self.done - self.first, 1)))

    def _line(self, seconds_each: float) -> str:
        plural = self.unit if self.unit.endswith("s") else f"{self.unit}{'es' if self.unit.endswith('ch') else 's'}"
        if self.total is None:
            parts = [f"{self.done:,} {plural}"]
        else:
            left = seconds_each * max(self.total - self.done, 0)
            parts = [f"{self.done:,} of {self.total:,} {plural}", f"about {duration(left)} left"]
        return f"{self.desc}: {', '.join([*parts, *([self.beside] if self.beside else [])])}"


def duration(seconds: float) -> str:
    """Returns a time as people say it, as in ``12 min``."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return "1 min" if seconds > 30 else f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def bar(**kwargs: Any) -> Bar:
    """Returns a tqdm bar on standard error, shown only after a second; off a terminal, lines for the log.

    Args:
        **kwargs: As for ``tqdm``: ``total``, ``desc``, ``unit``, ``initial``.
    """
    if sys.stderr is not None and sys.stderr.isatty():
        shown: Bar = tqdm(file=sys.stderr, delay=1.0, dynamic_ncols=True, leave=False, **kwargs)
        return shown
    return Lines(**kwargs)


def track(items: Iterable[T], **kwargs: Any) -> Iterator[T]:
    """Yields the items and tells how far it is; arguments as for ``bar``."""
    with bar(total=len(items) if isinstance(items, Sized) else None, **kwargs) as shown:
        for item in items:
            yield item
            shown.update()
