"""Ending a training when the system or somebody asks: not in the middle of a step."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from capsmith.core.interrupts import active_signals
from capsmith.core.log import get_logger

logger = get_logger(__name__)


class Stop:
    """Whether a signal asked the training to stop."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def note(self, number: int, frame: FrameType | None) -> None:
        """Takes a signal; a second one is not waited with.

        A terminal that is closed sends SIGHUP, and so does its shell: those are one.
        """
        if self.signal is not None:
            if signal.Signals(number).name == "SIGHUP":
                return
            raise KeyboardInterrupt(number)
        self.signal = number
        logger.info(f"{signal.Signals(number).name}: finishing the batch and saving; once more stops at once")

    def check(self) -> None:
        """Raises KeyboardInterrupt with the signal's number when somebody asked."""
        if self.signal is not None:
            raise KeyboardInterrupt(self.signal)


@contextmanager
def stopping() -> Iterator[Stop]:
    """Notes SIGINT, SIGTERM and SIGHUP for the duration, where that can be done: in the main thread."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = [(number, signal.signal(number, stop.note)) for number in active_signals()]
    try:
        yield stop
    finally:
        for number, handler in before:
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
