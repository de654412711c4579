"""The command line: ``capsmith VERB …``. Each verb is one file; Keras is imported only when a verb needs it."""

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
from capsmith.core.interrupts import active_signals, interrupt

VERBS = {
    "init": "read a folder of images and captions, and write a config for it",
    "inspect": "write a page about a dataset: images, captions, and their problems",
    "train": "train a captioner or a joint embedding from a config, and score it",
    "extract": "extract the features of a config's images into its cache",
    "evaluate": "score a run on a split and write its report",
    "caption": "caption images, or folders of images",
    "detect": "find objects in images, draw them, and score a detector",
    "index": "index a folder of images, to search it",
    "search": "search an index by a phrase, an image or words",
    "recommend": "rank a library of ready-made captions for photos",
    "describe": "caption images, and find their objects, similar images and fitting captions",
    "serve": "caption images over HTTP, with a page for people",
    "studio": "correct the captions of a folder in the browser, and train from them",
    "export": "write a captioner for onnxruntime, LiteRT, TensorFlow or the browser",
    "show": "list the components of a run's captioner, and draw them",
    "score": "score captions of any model against references",
    "validate": "check a config and show it with all defaults",
    "doctor": "check this machine, train a small test model, and give advice",
    "list": "list the components that a config can name",
}

_HOW_TO_CONTINUE = {
    "train": ": the same command with --resume continues from the saved state",
    "extract": ": the same command continues where this one stopped",
    "index": ": the same command continues where this one stopped",
    "evaluate": ": the same command starts again, but extracted features are kept",
}


_CORE_PACKAGES = {
    "keras": "keras",
    "nltk": "nltk",
    "numpy": "numpy",
    "onnxruntime": "onnxruntime",
    "PIL": "pillow",
    "pydantic": "pydantic",
    "tensorflow": "tensorflow",
    "tqdm": "tqdm",
    "yaml": "pyyaml",
}
"""Packages of the core installation by the name of their module."""
_BROKEN_PIPE = 141  # 128 + SIGPIPE: the usual exit code after a broken pipe


class _Parser(argparse.ArgumentParser):
    """Reports errors of a command line in a form that is safe for a terminal."""

    def error(self, message: str) -> NoReturn:
        super().error(shortened(escaped(message)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb.

    Returns:
        The exit code: 0 for success; 2 for an error in the input; 130, 143 or 129 for Ctrl-C, SIGTERM or SIGHUP; 141 if
        the reader of the output has exited and the output is the only result.
    """
    terminal.open_streams()
    arguments = sys.argv[1:] if arguments is None else [*arguments]  # not list(): the imported verb ``list`` shadows it
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
    warnings.filterwarnings("ignore", module="PIL")  # about damaged EXIF, for example: the image is read or refused
    args = argparse.Namespace(debug="--debug" in arguments, verb="")
    try:
        with _signals_handled():
            _require_values(arguments)
            args = _parsed(parser, arguments)
            load_plugins(args.plugin if "plugin" in args else [])
            code = importlib.import_module(f"capsmith.cli.{args.verb}").run(args) or 0
            terminal.flush()
            return code
    except BrokenPipeError:
        return _BROKEN_PIPE
    except (Exception, KeyboardInterrupt) as error:
        error = _missing_core(error) or error
        known = isinstance(error, CapsmithError | OSError | KeyboardInterrupt) or out_of_memory(error)
        if not known and "plugin" in args and args.plugin:
            error = _plugin_error(error) or error
            known = isinstance(error, CapsmithError)
        if args.debug or not known:
            raise error
        return _explain(error, args.verb)


def _parsed(parser: argparse.ArgumentParser, arguments: list[str]) -> argparse.Namespace:
    """Parses a command line in which images may come before, between and after the options."""
    args, more = parser.parse_known_args(arguments)
    options, rest = (more[: more.index("--")], more[more.index("--") + 1 :]) if "--" in more else (more, [])
    if unknown := [argument for argument in options if argument.startswith("-") or "images" not in args]:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if options or rest:
        args.images = [*args.images, *options, *rest]
    return args


def _finish() -> None:
    """Flushes standard output; otherwise Python would fail at exit, as after ``--help | true``."""
    try:
        terminal.flush()
    except (BrokenPipeError, CapsmithError):
        pass  # all results have been written already


def _require_values(arguments: Sequence[str]) -> None:
    """Raises ConfigError for an empty argument, usually from a shell variable that is not set."""
    for number, (before, argument) in enumerate(zip(["", *arguments], arguments, strict=False), start=1):
        option = re.fullmatch(r"(--[a-z-]+)=", argument)
        if option or not argument:
            where = option[1] if option else before if before.startswith("--") else f"argument {number}"
            raise ConfigError(f"{where} is empty: is a shell variable unset? (Write . for the current folder)")


@contextmanager
def _signals_handled() -> Iterator[None]:
    """Makes SIGTERM and SIGHUP end a verb as Ctrl-C does: files are closed and locks released."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = [(number, signal.signal(number, interrupt)) for number in active_signals()]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


def _missing_core(error: BaseException) -> CapsmithError | None:
    """Returns a one-line error for a core package that is not installed, as after ``pip install --no-deps``."""
    if not isinstance(error, ModuleNotFoundError) or error.name not in _CORE_PACKAGES:
        return None
    package = _CORE_PACKAGES[error.name]
    return CapsmithError(
        f"this needs {package}, which is not installed; captions by an export or the starter, without --set, do not: "
        "pip install capsmith installs everything"
    )


def _plugin_error(error: BaseException) -> CapsmithError | None:
    """Returns a one-line error for an error that arose in a plugin; None for all others."""
    from capsmith.core.loaded_plugins import plugin_location

    where = plugin_location(error)
    if not where:
        return None
    summary = CapsmithError(f"{where}: {type(error).__name__}: {one_line(error)[:300]} (--debug shows the traceback)")
    summary.__cause__ = error
    return summary


def _explain(error: BaseException, verb: str) -> int:
    """Prints one line for an input error, a full disk, or Ctrl-C; returns the exit code."""
    if isinstance(error, KeyboardInterrupt):
        terminal.print_error("interrupted" + "".join(getattr(error, "__notes__", [_HOW_TO_CONTINUE.get(verb, "")])))
        return 128 + next((number for number in error.args if isinstance(number, int)), signal.SIGINT)
    if isinstance(error, OSError):
        error = CapsmithError(f"{error.filename}: {error.strerror}" if error.filename else one_line(error))
    elif not isinstance(error, CapsmithError):
        error = MemoryError("out of memory: close other programs, or use smaller batches, images or models")
    terminal.print_error_message(f"capsmith: {printable(error)}")
    return 2
