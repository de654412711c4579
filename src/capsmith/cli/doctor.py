"""``capsmith doctor``."""

import argparse
from pathlib import Path

from capsmith.cli.keras_import import load_keras


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    parser.add_argument(
        "--fast", action="store_true", help="leave out the trial, which trains on small drawn images: about 20 s"
    )


def run(args: argparse.Namespace) -> int:
    """Looks at the machine; returns 2 when capsmith cannot work on it."""
    from capsmith.cli.diagnostics import healthy
    from capsmith.core.terminal import print_text

    return 0 if healthy(print_text, Path.cwd(), trial=not args.fast, load=load_keras) else 2
