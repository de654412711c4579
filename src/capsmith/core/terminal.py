"""Standard output and error, which may be closed, broken, or of any encoding; and lines that are safe to print.

A command continues after the reader of its output has exited: training still writes its log file, and evaluation its
report. If the output is the only result, the command ends as it would on ``SIGPIPE``.
"""

import contextlib
import errno
import io
import json
import os
import stat
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from capsmith.core.errors import CapsmithError, escaped, shortened

_READER_EXITED = (errno.EPIPE, errno.EBADF, errno.ECONNRESET)


class _Output:
    """The state of standard output."""

    closed = False  # it was closed when the process started
    lost = False  # its reader has exited
    required = False  # it is the only result of the command


def open_streams() -> None:
    r"""Makes standard input, output and error usable.

    Closed streams are connected to the null device. Otherwise the next file that is opened would get their number, and
    printed lines would be written to it. Characters that a stream cannot encode are written as ``\x…``.
    """
    _Output.closed = _Output.lost = _Output.required = False
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # takes the lowest free number: this one
            _Output.closed |= number == 1
        if getattr(sys, name) is None:
            mode = "w" if number else "r"
            setattr(sys, name, open(number, mode, encoding="utf-8", errors="backslashreplace", closefd=False))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def require_output(what: str) -> None:
    """Declares that standard output is the only result of a command, which then ends when the reader exits.

    Args:
        what: What is printed, for the message.

    Raises:
        CapsmithError: Standard output is closed.
    """
    _Output.required = True
    if _Output.closed:
        raise CapsmithError(f"standard output is closed, so the {what} cannot be printed: use a file, as in > FILE")


def print_line(*cells: object) -> None:
    """Prints one line on standard output: cells separated by tabs, each made safe for a terminal.

    Raises:
        BrokenPipeError: The reader has exited, and ``require_output`` was called.
        CapsmithError: The line cannot be written, for example because the disk is full.
    """
    _write("\t".join(escaped(str(cell)) for cell in cells) + "\n")


def print_text(text: str) -> None:
    """Prints several lines on standard output, each made safe for a terminal."""
    _write("".join(f"{escaped(line)}\n" for line in text.split("\n")))


def print_path(path: object) -> None:
    """Prints a path on one line: unchanged for programs, made safe on a terminal."""
    if sys.stdout.isatty() or not hasattr(sys.stdout, "buffer"):
        print_line(path)
        return
    with _output_guarded():
        sys.stdout.flush()
        sys.stdout.buffer.write(os.fsencode(str(path)) + b"\n")
        sys.stdout.flush()


def print_json(value: Any, indent: int | None = None) -> None:
    r"""Prints JSON on standard output: lossless, and safe for a terminal, as strings can hold ``\\u001b``."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=indent)
    safe = "".join(c if c == "\n" or escaped(c) == c else json.dumps(c)[1:-1] for c in text)
    _write(safe + "\n")


def print_error(line: object) -> None:
    """Prints one line on standard error, made safe for a terminal; an error of the stream is ignored."""
    _write_error(shortened(escaped(str(line))) + "\n")


def print_error_message(message: str) -> None:
    """Prints the message of an error, which is already safe for a terminal and may have several lines."""
    _write_error(message + "\n")


def flush() -> None:
    """Writes what is still buffered, so that Python does not fail when it exits.

    Raises:
        BrokenPipeError, CapsmithError: As ``print_line``.
    """
    _write("")


def _write(text: str) -> None:
    with _output_guarded():
        sys.stdout.write(text)
        sys.stdout.flush()


@contextlib.contextmanager
def _output_guarded() -> Iterator[None]:
    if _Output.lost:
        if _Output.required:
            raise BrokenPipeError
        yield
        return
    try:
        yield
    except OSError as error:
        lost = error.errno in _READER_EXITED or (error.errno == errno.EIO and _is_device(sys.stdout))
        _discard(sys.stdout)
        if not lost:
            raise CapsmithError(f"cannot write standard output: {error.strerror or error}") from error
        _Output.lost = True
        if _Output.required:
            raise BrokenPipeError from error


def _write_error(text: str) -> None:
    if sys.stderr is None:  # a process without a console
        return
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        _discard(sys.stderr)
    except (ValueError, RuntimeError):  # the file was closed, or a signal arrived while a line was written
        pass


def _is_device(stream: TextIO) -> bool:
    """Returns whether a stream is a terminal: closing its window causes input/output errors."""
    with contextlib.suppress(OSError, ValueError):
        return stat.S_ISCHR(os.fstat(stream.fileno()).st_mode)
    return False


def _discard(stream: TextIO) -> None:
    """Sends the buffer of a stream to the null device; otherwise Python would try to write it again at exit."""
    with contextlib.suppress(OSError, ValueError):
        number = stream.fileno()
        null_device = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null_device, number)
        os.close(null_device)
