"""The command line: ``capsmith VERB …``. One file a verb; nothing here loads Keras before the verb needs it."""

import argparse
import importlib
import io
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from capsmith import __version__
from capsmith.cli.options import load_plugins
from capsmith.errors import CapsmithError, one_line, out_of_memory, printable

VERBS = {
    "init": "look at a folder of pictures and captions, and write a config for it",
    "inspect": "make a page about a data set: pictures, captions, and what is wrong with them",
    "train": "train a captioner as a config says, and score it",
    "extract": "make the feature cache of a config's pictures",
    "evaluate": "score a run on a split and write its report",
    "caption": "caption pictures, or folders of them, with a run",
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb; returns the exit code: 0 done, 2 a mistake in the input, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else [*arguments]  # list() is the verb, once that was imported
    verb = next((a for a in arguments if not a.startswith("-")), None)
    parser = argparse.ArgumentParser(
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
    return _run(parser.parse_args(arguments))


def train_main() -> int:
    """Runs ``train --config …``, the short form of ``capsmith train --config …``."""
    return main(["train", *sys.argv[1:]])


def _run(args: argparse.Namespace) -> int:
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if isinstance(sys.stdout, io.TextIOWrapper):  # file names, or captions where the terminal is not UTF-8
        sys.stdout.reconfigure(errors="backslashreplace")
    warnings.filterwarnings("ignore", module="PIL")  # of damaged EXIF and the like: the picture is read or refused
    try:
        with _ending():
            load_plugins(args.plugin if "plugin" in args else [])
            return importlib.import_module(f"capsmith.cli.{args.verb}").run(args) or 0
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (Exception, KeyboardInterrupt) as error:
        known = isinstance(error, CapsmithError | OSError | KeyboardInterrupt) or out_of_memory(error)
        if not known and "plugin" in args and args.plugin:
            error = _in_plugin(error) or error
            known = isinstance(error, CapsmithError)
        if args.debug or not known:
            raise error
        return _explain(error, args.verb)


@contextmanager
def _ending() -> Iterator[None]:
    """Lets SIGTERM end a verb as Ctrl-C does: files are closed, locks let go, and one line says how to go on."""

    def end(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt(number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before if before is not None else signal.SIG_DFL)


def _in_plugin(error: BaseException) -> CapsmithError | None:
    """Returns in one line what went wrong in the code of a plugin; None for what went wrong elsewhere."""
    from capsmith.plugins import line_of

    where = line_of(error)
    if not where:
        return None
    found = CapsmithError(f"{where}: {type(error).__name__}: {one_line(error)[:300]} (--debug shows the way there)")
    found.__cause__ = error
    return found


def _explain(error: BaseException, verb: str) -> int:
    """Prints one line for a mistake, a full disk, or Ctrl-C; returns the exit code."""
    if isinstance(error, KeyboardInterrupt):
        print("interrupted" + _GO_ON.get(verb, ""), file=sys.stderr)
        return 128 + next((number for number in error.args if isinstance(number, int)), signal.SIGINT)
    if isinstance(error, OSError):
        error = CapsmithError(f"{error.filename}: {error.strerror}" if error.filename else one_line(error))
    elif not isinstance(error, CapsmithError):
        error = MemoryError(
            "out of memory: close other programs, or ask for less at once: smaller batches, pictures or models"
        )
    print(f"capsmith: {printable(error)}", file=sys.stderr)
    return 2
