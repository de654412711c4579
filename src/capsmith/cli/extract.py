"""``capsmith extract``."""

import argparse

from capsmith.cli.keras_import import load_keras
from capsmith.cli.options import add_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    add_config(parser)


def run(args: argparse.Namespace) -> None:
    """Extracts features, or completes an interrupted extraction."""
    from capsmith.config import load_config
    from capsmith.core.terminal import print_path

    config = load_config(args.config, args.set)
    load_keras()
    from capsmith.training.extract import extract

    with extract(config) as features:
        for path in features.paths:
            print_path(path)
