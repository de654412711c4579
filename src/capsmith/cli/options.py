"""Options shared by several verbs."""

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path


def add_config(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Adds ``--config``, ``--set`` and ``--plugin``."""
    parser.add_argument(
        "--config", required=required, metavar="FILE", help="a YAML file, or the name of a shipped config"
    )
    add_set(parser)
    add_plugin(parser)


def add_plugin(parser: argparse.ArgumentParser) -> None:
    """Adds ``--plugin``."""
    parser.add_argument(
        "--plugin",
        action="append",
        default=[],
        metavar="FILE.py|NAME",
        help="run a plugin, which adds components: a file, or an installed plugin; may be repeated",
    )


def load_plugins(names: Sequence[str]) -> None:
    """Loads the plugins of ``--plugin``; what a plugin prints goes to standard error."""
    if not names:
        return
    from capsmith.cli.keras_import import load_keras
    from capsmith.core.plugin_sources import imports_keras
    from capsmith.core.plugins import load_plugin

    with contextlib.redirect_stdout(sys.stderr):
        for name in names:
            if "keras" not in sys.modules and imports_keras(name):
                load_keras()
            load_plugin(name)


def add_set(parser: argparse.ArgumentParser) -> None:
    """Adds ``--set``."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a value of the config, as in --set decoder.units=256; may be repeated",
    )


def add_average(parser: argparse.ArgumentParser) -> None:
    """Adds ``--average``."""
    parser.add_argument(
        "--average",
        action="store_true",
        help="average the weights of several runs, not their probabilities: for stages of one training",
    )


def default_run(config: str) -> Path:
    """Returns the run directory of a config that is used without ``--run``."""
    return Path("runs") / Path(config).stem
