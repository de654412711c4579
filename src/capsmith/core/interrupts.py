"""Handling of signals that end the process, from its start to its exit.

This module imports only modules that Python has already loaded, because a signal that arrives before this module is
imported cannot be handled.
"""

import _signal  # type: ignore[import-not-found]
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

ENDING_SIGNALS = tuple(
    int(getattr(_signal, name)) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(_signal, name)
)
"""The termination signals that exist on this system."""
_INTERRUPT = int(_signal.SIGINT)
_is_command_line = False


def active_signals() -> list[int]:
    """Returns the ending signals that are not ignored: ``nohup`` ignores SIGHUP, a shell's background job SIGINT."""
    return [number for number in ENDING_SIGNALS if _signal.getsignal(number) != _signal.SIG_IGN]


def exit_quietly() -> None:
    """Makes Ctrl-C end this process at once and without a traceback, while no work can be lost."""
    global _is_command_line
    _is_command_line = True
    if _INTERRUPT in active_signals():
        _signal.signal(_INTERRUPT, _exit)


def interrupt(number: int, frame: "FrameType | None") -> None:
    """Handles a signal: raises KeyboardInterrupt with its number.

    While modules are imported, libraries may swallow the exception or turn it into another error. The process then
    exits instead. All files are written atomically, so nothing is lost.
    """
    if _is_command_line and _importing(frame):
        _exit(number, frame)
    raise KeyboardInterrupt(number)


def _importing(frame: "FrameType | None") -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _exit(number: int, frame: "FrameType | None") -> None:
    try:
        os.write(2, b"interrupted\n")
    finally:
        os._exit(128 + number)
