"""``capsmith train``."""

import argparse
from pathlib import Path

from capsmith.cli.keras_import import load_keras
from capsmith.cli.options import add_config, default_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    add_config(parser)
    parser.add_argument("--run", type=Path, metavar="DIR", help="the run directory (default: runs/NAME-OF-CONFIG)")
    parser.add_argument("--resume", action="store_true", help="continue an interrupted training")
    parser.add_argument(
        "--smoke",
        action="store_true",
        help="run all steps on 48 images per split, into a new DIR-smoke",
    )


def run(args: argparse.Namespace) -> None:
    """Trains a captioner."""
    from capsmith.config import load_config
    from capsmith.core.terminal import print_path
    from capsmith.training.smoke_config import OVERRIDES, smoke_config

    directory = args.run or default_run(args.config)
    config = load_config(args.config, [*args.set, *(OVERRIDES if args.smoke else ())])
    if args.smoke:
        directory = directory if directory.name else directory.absolute()
        directory = directory.with_name(directory.name + "-smoke")
        _clear(directory)
        config = smoke_config(config, directory)
    load_keras()
    from capsmith.training.fit import train

    train(config, directory, resume=args.resume)
    print_path(directory)


def _clear(directory: Path) -> None:
    """Removes the files of an earlier smoke run, after checking that it is one and that no process trains into it."""
    from capsmith.core.errors import CheckpointError
    from capsmith.models.run import RunDirectory

    if not directory.is_dir():
        return
    run = RunDirectory(directory)
    if directory.is_symlink():
        raise CheckpointError(
            f"{directory} is a link, and --smoke would remove the run that it points to: choose another --run"
        )
    if any(directory.iterdir()) and not (run.versions.is_file() or run.lock.is_file()):
        raise CheckpointError(f"{directory} is not a run: --smoke would remove it; choose another --run")
    with run.locked():
        run.clear()
