"""The command line: ``capsmith VERB …``. One file a verb; nothing here loads Keras before the verb needs it."""

import argparse
import importlib
import os
import re
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from capsmith import __version__
from capsmith.cli.options import load_plugins
from capsmith.core import terminal
from capsmith.core.errors import CapsmithError, ConfigError, escaped, one_line, out_of_memory, printable, shortened
from capsmith.core.interrupts import heeded, interrupt

VERBS = {
    "init": "look at a folder of images and captions, and write a config for it",
    "inspect": "make a page about a data set: images, captions, and what is wrong with them",
    "train": "train a captioner as a config says, and score it",
    "extract": "make the feature cache of a config's images",
    "evaluate": "score a run on a split and write its report",
    "caption": "caption images, or folders of them, with a run",
    "show": "list what a run's captioner is made of, and draw it",
    "score": "score captions of any model against references",
    "validate": "check a config and show it with every default",
    "doctor": "look at this machine, try everything out, and say what to do",
    "list": "name what a config can choose from",
}

_GO_ON = {
    "train": ": the same command with --resume goes on from what is saved",
    "extract": ": the same command goes on where this one stopped",
    "evaluate": ": the same command begins anew, but features that were made are kept",
}


_BROKEN_PIPE = 141  # 128 + SIGPIPE: what a shell sees of other programs whose output nobody reads


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with a command line without doing what its characters would do to a terminal."""

    def error(self, message: str) -> NoReturn:
        super().error(shortened(escaped(message)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb.

    Returns:
        The exit code: 0 done; 2 a mistake in the input; 130, 143 or 129 ended by Ctrl-C, SIGTERM or SIGHUP; 141 nobody
        reads the output, where that is all there is.
    """
    terminal.open_streams()
    arguments = sys.argv[1:] if arguments is None else [*arguments]  # list() is the verb, once that was imported
    verb = next((a for a in arguments if not a.startswith("-")), None)
    parser = _Parser(
        prog="capsmith",
        description="Train, evaluate and use your own image captioner.",
        epilog="Start with: capsmith train --config quickstart.yaml",
    )
    parser.add_argument("--version", action="version", version=f"capsmith {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, help_text in VERBS.items():
        sub = verbs.add_parser(name, help=help_text, description=help_text[0].upper() + help_text[1:] + ".")
        sub.add_argument("--debug", action="store_true", help="show the traceback of an error")
        if name == verb:
            importlib.import_module(f"capsmith.cli.{name}").add_arguments(sub)
    try:
        return _run(parser, arguments)
    finally:
        _finish()


def train_main() -> int:
    """Runs ``train --config …``, the short form of ``capsmith train --config …``."""
    return main(["train", *sys.argv[1:]])


def _run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.filterwarnings("ignore", module="PIL")  # of damaged EXIF and the like: the image is read or refused
    args = argparse.Namespace(debug="--debug" in arguments, verb="")
    try:
        with _ending():
            _require_values(arguments)
            args = parser.parse_args(arguments)
            load_plugins(args.plugin if "plugin" in args else [])
            code = importlib.import_module(f"capsmith.cli.{args.verb}").run(args) or 0
            terminal.finish()
            return code
    except BrokenPipeError:
        return _BROKEN_PIPE
    except (Exception, KeyboardInterrupt) as error:
        known = isinstance(error, CapsmithError | OSError | KeyboardInterrupt) or out_of_memory(error)
        if not known and "plugin" in args and args.plugin:
            error = _in_plugin(error) or error
            known = isinstance(error, CapsmithError)
        if args.debug or not known:
            raise error
        return _explain(error, args.verb)


def _finish() -> None:
    """Leaves nothing in standard output that would fail when Python ends, as after ``--help | true``."""
    try:
        terminal.finish()
    except (BrokenPipeError, CapsmithError):
        pass  # nothing that matters: what does was written before


def _require_values(arguments: Sequence[str]) -> None:
    """Raises ConfigError for an empty argument, most often a shell variable that is not set."""
    for number, (before, given) in enumerate(zip(["", *arguments], arguments, strict=False), start=1):
        option = re.fullmatch(r"(--[a-z-]+)=", given)
        if option or not given:
            where = option[1] if option else before if before.startswith("--") else f"argument {number}"
            raise ConfigError(f"{where} is empty: is a shell variable not set? (The current folder is called .)")


@contextmanager
def _ending() -> Iterator[None]:
    """Lets SIGTERM and SIGHUP end a verb as Ctrl-C does: files are closed, locks let go, a line says how to go on."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = [(number, signal.signal(number, interrupt)) for number in heeded()]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


def _in_plugin(error: BaseException) -> CapsmithError | None:
    """Returns in one line what went wrong in the code of a plugin; None for what went wrong elsewhere."""
    from capsmith.core.loaded_plugins import plugin_location

    where = plugin_location(error)
    if not where:
        return None
    found = CapsmithError(f"{where}: {type(error).__name__}: {one_line(error)[:300]} (--debug shows the way there)")
    found.__cause__ = error
    return found


def _explain(error: BaseException, verb: str) -> int:
    """Prints one line for a mistake, a full disk, or Ctrl-C; returns the exit code."""
    if isinstance(error, KeyboardInterrupt):
        terminal.warn("interrupted" + _GO_ON.get(verb, ""))
        return 128 + next((number for number in error.args if isinstance(number, int)), signal.SIGINT)
    if isinstance(error, OSError):
        error = CapsmithError(f"{error.filename}: {error.strerror}" if error.filename else one_line(error))
    elif not isinstance(error, CapsmithError):
        error = MemoryError(
            "out of memory: close other programs, or ask for less at once: smaller batches, images or models"
        )
    terminal.complain(f"capsmith: {printable(error)}")
    return 2
