"""``capsmith extract``."""

import argparse

from capsmith.cli.keras_import import load_keras
from capsmith.cli.options import add_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    add_config(parser)


def run(args: argparse.Namespace) -> None:
    """Makes or completes the feature store."""
    from capsmith.config import load_config
    from capsmith.core.terminal import say_path
    from capsmith.training.extract import extract

    config = load_config(args.config, args.set)
    load_keras()
    with extract(config) as features:
        for path in features.paths:
            say_path(path)
