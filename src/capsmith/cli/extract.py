"""``capsmith extract``."""

import argparse

from capsmith.cli.keras_import import load_keras
from capsmith.cli.options import add_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    add_config(parser)
    parser.add_argument(
        "--engine",
        metavar="local|ray",
        help="write the features in shards, for millions of images: in this process, or by --workers processes of a "
        "Ray cluster, that of RAY_ADDRESS or of this machine",
    )
    parser.add_argument(
        "--workers", type=int, metavar="N", help="processes of --engine ray; by default one for each CPU"
    )


def run(args: argparse.Namespace) -> None:
    """Extracts features, or completes an interrupted extraction."""
    from capsmith.config import load_config
    from capsmith.core.errors import ConfigError
    from capsmith.core.terminal import print_path

    config = load_config(args.config, args.set)
    if args.engine is None and args.workers is not None:
        raise ConfigError("--workers needs --engine ray; features.workers sets the number of decoding threads")
    load_keras()
    from capsmith.training.extract import extract

    compute = None
    if args.engine is not None:
        from capsmith.deploy.batch.features import in_shards

        compute = in_shards(args.engine, args.workers)
    with extract(config, compute) as features:
        for path in features.paths:
            print_path(path)
