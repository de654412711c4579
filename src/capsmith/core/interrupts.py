"""Signals that end a process, from its first line to its last.

Imports nothing that is not there already: between the start of Python and this module nothing can be caught.
"""

import _signal  # type: ignore[import-not-found]
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

ENDING = tuple(int(getattr(_signal, name)) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(_signal, name))
"""The signals that ask a process to end, as far as this system has them."""
_INTERRUPT = int(_signal.SIGINT)
_ours = False


def heeded() -> list[int]:
    """Returns the ending signals that are not ignored: ``nohup`` ignores SIGHUP, a script's background SIGINT."""
    return [number for number in ENDING if _signal.getsignal(number) != _signal.SIG_IGN]


def leave_quietly() -> None:
    """Makes Ctrl-C end this process at once and without a traceback, while it has nothing in hand to lose."""
    global _ours
    _ours = True
    if _INTERRUPT in heeded():
        _signal.signal(_INTERRUPT, _leave)


def interrupt(number: int, frame: "FrameType | None") -> None:
    """Takes a signal: raises KeyboardInterrupt with its number.

    While modules are imported, libraries turn that into other errors, or lose it; then the process just ends. All
    that is written can be killed at any time, so nothing is lost.
    """
    if _ours and _importing(frame):
        _leave(number, frame)
    raise KeyboardInterrupt(number)


def _importing(frame: "FrameType | None") -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _leave(number: int, frame: "FrameType | None") -> None:
    try:
        os.write(2, b"interrupted\n")
    finally:
        os._exit(128 + number)
