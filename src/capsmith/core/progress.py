"""Progress of long tasks: a bar on a terminal, otherwise at most one log line per minute."""

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import Any, Protocol, Self, TypeVar

from capsmith.core.log import get_logger

logger = get_logger(__name__)

T = TypeVar("T")
LOG_INTERVAL = 60.0
"""Seconds between log lines when no terminal shows a bar. Shorter tasks log no progress."""


class ProgressBar(Protocol):
    """The interface of a progress bar: a context manager that counts completed items."""

    def __enter__(self) -> Self:
        """Starts counting."""

    def __exit__(self, *error: Any) -> Any:
        """Closes the bar."""

    def update(self, n: int = 1) -> Any:
        """Adds to the count."""

    def set_postfix(self, *, refresh: bool = True, **values: Any) -> Any:
        """Sets the values shown beside the count."""


class ProgressLog:
    """Logs the count and the estimated remaining time.

    Args:
        total: The count at the end; None if unknown.
        desc: Description of the task.
        unit: Name of the counted unit.
        initial: The count at the start.
    """

    def __init__(self, total: int | None, desc: str = "", unit: str = "step", initial: int = 0) -> None:
        self.total, self.desc, self.unit = total, desc, unit
        self.count = self.initial = initial
        self.postfix = ""
        self.started = self.last_logged = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        """Logs nothing: the caller reports its result."""

    def set_postfix(self, *, refresh: bool = True, **values: Any) -> None:
        """Sets the values shown in the next line."""
        self.postfix = ", ".join(f"{key} {value}" for key, value in values.items())

    def update(self, n: int = 1) -> None:
        """Adds to the count, and logs if a minute has passed."""
        self.count += n
        now = time.monotonic()
        if now - self.last_logged < LOG_INTERVAL:
            return
        self.last_logged = now
        logger.info(self._line((now - self.started) / max(self.count - self.initial, 1)))

    def _line(self, seconds_each: float) -> str:
        plural = self.unit if self.unit.endswith("s") else f"{self.unit}{'es' if self.unit.endswith('ch') else 's'}"
        if self.total is None:
            parts = [f"{self.count:,} {plural}"]
        else:
            left = seconds_each * max(self.total - self.count, 0)
            parts = [f"{self.count:,} of {self.total:,} {plural}", f"about {format_duration(left)} left"]
        return f"{self.desc}: {', '.join([*parts, *([self.postfix] if self.postfix else [])])}"


def format_duration(seconds: float) -> str:
    """Formats a duration for display, as in ``12 min``."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return "1 min" if seconds > 30 else f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def progress_bar(**kwargs: Any) -> ProgressBar:
    """Returns a tqdm bar on standard error, shown after one second; without a terminal or tqdm, a progress log.

    Args:
        **kwargs: As for ``tqdm``: ``total``, ``desc``, ``unit``, ``initial``.
    """
    if sys.stderr is not None and sys.stderr.isatty():
        try:
            from tqdm import tqdm
        except ImportError:  # an environment that only captions
            return ProgressLog(**kwargs)
        bar: ProgressBar = tqdm(file=sys.stderr, delay=1.0, dynamic_ncols=True, leave=False, **kwargs)
        return bar
    return ProgressLog(**kwargs)


def track(items: Iterable[T], **kwargs: Any) -> Iterator[T]:
    """Yields the items and shows the progress; arguments as for ``progress_bar``."""
    with progress_bar(total=len(items) if isinstance(items, Sized) else None, **kwargs) as bar:
        for item in items:
            yield item
            bar.update()
