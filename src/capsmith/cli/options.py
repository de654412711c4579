"""Options that several verbs share."""

import argparse
from pathlib import Path


def add_config(parser: argparse.ArgumentParser) -> None:
    """Adds ``--config`` and ``--set``."""
    parser.add_argument("--config", required=True, metavar="FILE", help="a YAML file, or the name of one of ours")
    add_set(parser)


def add_set(parser: argparse.ArgumentParser) -> None:
    """Adds ``--set``."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change the config, as in --set decoder.units=256; may be repeated",
    )


def default_run(config: str) -> Path:
    """Returns where a config's run goes when ``--run`` is not given."""
    return Path("runs") / Path(config).stem
