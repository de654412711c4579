"""Logging: the ``capsmith`` logger prints to standard error, and a run's ``log.txt`` receives the same lines.

Modules log through ``get_logger(__name__)``, a standard-library logger. The ``capsmith`` logger above them has one
handler, which prints. An application that wants other handling replaces it, or sets the logger's level.
"""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from capsmith.core import terminal
from capsmith.core.errors import CapsmithError, escaped, shortened


class _SafeFormatter(logging.Formatter):
    """One line per record, of bounded length, without characters that control a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return shortened(escaped(record.getMessage()))


class TerminalHandler(logging.Handler):
    """Prints to the current ``sys.stderr``; a closed stream is not an error."""

    def emit(self, record: logging.LogRecord) -> None:
        """Prints one record."""
        terminal.print_error(self.format(record))


class RunFileHandler(logging.Handler):
    """Appends to a log file, which is opened for each line, so that a run directory may be moved or removed.

    Args:
        path: The file; its directory is created if missing.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def emit(self, record: logging.LogRecord) -> None:
        """Appends one record.

        Raises:
            CapsmithError: The file cannot be written, for example because the disk is full.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(self.format(record) + "\n")
        except OSError as error:
            raise CapsmithError(f"cannot write {self.path}: {error.strerror or error}") from error


ROOT = logging.getLogger("capsmith")
"""The parent of all module loggers."""
TERMINAL = TerminalHandler()
"""The handler that prints to standard error."""
TERMINAL.setFormatter(_SafeFormatter())
ROOT.addHandler(TERMINAL)
ROOT.propagate = False
if ROOT.level == logging.NOTSET:
    ROOT.setLevel(logging.INFO)


def get_logger(name: str) -> logging.Logger:
    """Returns the logger of a module, below the ``capsmith`` logger and its handler."""
    return logging.getLogger(name)


@contextlib.contextmanager
def log_file(path: Path) -> Iterator[None]:
    """Appends every line that is logged inside the block to a file as well.

    Raises:
        CapsmithError: The file cannot be written.
    """
    handler = RunFileHandler(path)
    handler.setFormatter(_SafeFormatter())
    ROOT.addHandler(handler)
    try:
        yield
    finally:
        ROOT.removeHandler(handler)


@contextlib.contextmanager
def quiet_terminal() -> Iterator[None]:
    """Suppresses printing inside the block; log files are still written."""
    was_attached = TERMINAL in ROOT.handlers
    ROOT.removeHandler(TERMINAL)
    try:
        yield
    finally:
        if was_attached:
            ROOT.addHandler(TERMINAL)
