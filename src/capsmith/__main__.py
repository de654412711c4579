"""The commands ``capsmith`` and ``train``, and ``python -m capsmith``."""

import _signal  # type: ignore[import-not-found]
import os
import sys

if _signal.getsignal(_signal.SIGINT) != _signal.SIG_IGN:  # Ctrl-C shows no traceback while modules are imported
    _signal.signal(_signal.SIGINT, lambda number, frame: os._exit(130))

from capsmith.core.interrupts import exit_quietly  # noqa: E402

exit_quietly()


def capsmith() -> int:
    """Runs ``capsmith VERB …``; returns the exit code."""
    return _run([])


def train() -> int:
    """Runs ``train --config …``, the short form of ``capsmith train --config …``."""
    return _run(["train"])


def _run(before: list[str]) -> int:
    if sys.getfilesystemencoding() == "ascii":  # file names would be limited to ASCII: restart with UTF-8
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606
    from capsmith.cli import main

    try:
        return main([*before, *sys.argv[1:]])
    finally:
        exit_quietly()


if __name__ == "__main__":
    sys.exit(capsmith())
