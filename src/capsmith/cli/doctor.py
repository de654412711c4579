"""``capsmith doctor``."""

import argparse
from pathlib import Path

from capsmith.cli.keras_import import load_keras


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    parser.add_argument(
        "--fast", action="store_true", help="skip the smoke test, which trains on small drawn images for about 20 s"
    )


def run(args: argparse.Namespace) -> int:
    """Checks the machine; returns 2 if capsmith cannot run on it."""
    from capsmith.cli.diagnostics import run_checks
    from capsmith.core.terminal import print_text

    usable = True
    for check in run_checks(Path.cwd(), smoke_test=not args.fast, load=load_keras):
        print_text(str(check))
        usable &= not check.broken
    return 0 if usable else 2
