"""Standard output and error as they are found: closed, cut off, of any encoding; and lines that are safe there.

Work goes on when nobody reads what is printed any more: a training writes its log file, an evaluation its report.
Where the output is all that a command gives, it ends as ``SIGPIPE`` would end it.
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

_READER_GONE = (errno.EPIPE, errno.EBADF, errno.ECONNRESET)


class _Output:
    """What is known of standard output."""

    closed = False  # it was never there
    lost = False  # nobody reads it any more
    needed = False  # it is all that the command gives


def open_streams() -> None:
    r"""Makes standard input, output and error usable.

    Those that are closed go to the null device: else the next file that is opened would take their place, and be
    written to by whatever prints. Characters that a stream cannot show are written as ``\x…``.
    """
    _Output.closed = _Output.lost = _Output.needed = False
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # takes the lowest number that is free: this one
            _Output.closed |= number == 1
        if getattr(sys, name) is None:
            mode = "w" if number else "r"
            setattr(sys, name, open(number, mode, encoding="utf-8", errors="backslashreplace", closefd=False))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def need_output(what: str) -> None:
    """Says that standard output is all that a command gives: without it there is no reason to go on.

    Args:
        what: What would be printed, for the message.

    Raises:
        CapsmithError: It is closed.
    """
    _Output.needed = True
    if _Output.closed:
        raise CapsmithError(f"standard output is closed, where the {what} would go: give it a file, as in > FILE")


def say(*cells: object) -> None:
    """Prints one line on standard output, its cells parted by tabs, each made safe for a terminal.

    Raises:
        BrokenPipeError: Nobody reads it, and ``need_output`` was called.
        CapsmithError: It cannot be written, as on a full disk.
    """
    _write("\t".join(escaped(str(cell)) for cell in cells) + "\n")


def say_text(text: str) -> None:
    """Prints text of several lines on standard output, each made safe for a terminal."""
    _write("".join(f"{escaped(line)}\n" for line in text.split("\n")))


def say_path(path: object) -> None:
    """Prints a path on a line of its own: as it is for programs, safe for people."""
    if sys.stdout.isatty() or not hasattr(sys.stdout, "buffer"):
        say(path)
        return
    with _output_guarded():
        sys.stdout.flush()
        sys.stdout.buffer.write(os.fsencode(str(path)) + b"\n")
        sys.stdout.flush()


def say_json(value: Any, indent: int | None = None) -> None:
    r"""Prints JSON on standard output: lossless, and safe for a terminal, as strings can hold ``\\u001b``."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=indent)
    shown = "".join(c if c == "\n" or escaped(c) == c else json.dumps(c)[1:-1] for c in text)
    _write(shown + "\n")


def warn(line: object) -> None:
    """Prints one line on standard error, made safe for a terminal; nothing happens where it cannot be written."""
    _to_error(shortened(escaped(str(line))) + "\n")


def complain(message: str) -> None:
    """Prints an error message, of several lines where it lists several errors, that was made safe already."""
    _to_error(message + "\n")


def finish() -> None:
    """Writes out what is still held back, so that nothing fails when Python ends.

    Raises:
        BrokenPipeError, CapsmithError: As ``say``.
    """
    _write("")


def _write(text: str) -> None:
    with _output_guarded():
        sys.stdout.write(text)
        sys.stdout.flush()


@contextlib.contextmanager
def _output_guarded() -> Iterator[None]:
    if _Output.lost:
        if _Output.needed:
            raise BrokenPipeError
        yield
        return
    try:
        yield
    except OSError as error:
        gone = error.errno in _READER_GONE or (error.errno == errno.EIO and _is_device(sys.stdout))
        _drop(sys.stdout)
        if not gone:
            raise CapsmithError(f"cannot write standard output: {error.strerror or error}") from error
        _Output.lost = True
        if _Output.needed:
            raise BrokenPipeError from error


def _to_error(text: str) -> None:
    if sys.stderr is None:  # as in a process without a console
        return
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        _drop(sys.stderr)
    except (ValueError, RuntimeError):  # the file was closed, or a signal came while a line was written
        pass


def _is_device(stream: TextIO) -> bool:
    """Returns whether a stream is a terminal, of which a closed window leaves input and output errors."""
    with contextlib.suppress(OSError, ValueError):
        return stat.S_ISCHR(os.fstat(stream.fileno()).st_mode)
    return False


def _drop(stream: TextIO) -> None:
    """Sends what a stream still holds to the null device, or Python would try again when it ends."""
    with contextlib.suppress(OSError, ValueError):
        number = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)
