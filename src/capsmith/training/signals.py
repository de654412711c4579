"""Stops a training on a signal after the current batch, instead of in the middle of a step."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from capsmith.core.interrupts import active_signals
from capsmith.core.log import get_logger

logger = get_logger(__name__)


class StopSignal:
    """Records the signal to stop the training.

    Attributes:
        signal: Number of the signal, or None.
    """

    def __init__(self) -> None:
        self.signal: int | None = None

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Handles a signal; the second one stops at once.

        A closed terminal sends SIGHUP, and its shell sends another: they count as one.
        """
        if self.signal is not None:
            if signal.Signals(number).name == "SIGHUP":
                return
            raise KeyboardInterrupt(number)
        self.signal = number
        logger.info(f"{signal.Signals(number).name}: finishing the batch and saving; a second signal stops at once")

    def check(self) -> None:
        """Raises KeyboardInterrupt with the signal's number if a signal was received."""
        if self.signal is not None:
            raise KeyboardInterrupt(self.signal)


@contextmanager
def stop_signals() -> Iterator[StopSignal]:
    """Handles SIGINT, SIGTERM and SIGHUP inside the block. Works in the main thread only; elsewhere it does nothing."""
    stop = StopSignal()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = [(number, signal.signal(number, stop.handle)) for number in active_signals()]
    try:
        yield stop
    finally:
        for number, handler in before:
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
