"""``capsmith train``."""

import argparse
from pathlib import Path

from capsmith.cli.keras_import import load_keras
from capsmith.cli.options import add_config, default_run
from capsmith.core.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    add_config(parser, required=False)
    parser.add_argument(
        "--from-studio",
        type=Path,
        metavar="DIR",
        help="instead of a config: teach the model of a studio its corrected captions, given its folder of images",
    )
    parser.add_argument("--run", type=Path, metavar="DIR", help="the run directory (default: runs/NAME-OF-CONFIG)")
    parser.add_argument("--resume", action="store_true", help="continue an interrupted training")
    parser.add_argument(
        "--smoke",
        action="store_true",
        help="run all steps on 48 images per split, into a new DIR-smoke",
    )


def run(args: argparse.Namespace) -> None:
    """Trains a captioner."""
    if args.from_studio is not None:
        _retrain(args)
        return
    if args.config is None:
        raise ConfigError("train needs --config FILE, or --from-studio DIR to learn the corrections of a studio")
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


def _retrain(args: argparse.Namespace) -> None:
    """Retrains the model of a studio with the captions that a person corrected."""
    from capsmith.core.terminal import print_path
    from capsmith.deploy.studio.project import find_project
    from capsmith.deploy.studio.retrain_state import retraining
    from capsmith.deploy.studio.store import Store

    if args.config is not None or args.smoke:
        other = "--config" if args.config is not None else "--smoke"
        raise ConfigError(f"--from-studio takes the config of the studio's model: remove {other}, or --from-studio")
    project = find_project(args.from_studio)
    with Store.read(project) as store:
        corrections = {correction.name: correction.caption for correction in store.corrections()}
        root, models = store.root, store.model
    directory = args.run or Path("runs") / f"{root.name or 'studio'}-corrected"
    with retraining(project, directory):
        load_keras()
        from capsmith.training.retraining.retrain import retrain

        retrain(corrections, root, models, directory, project / "cache", args.set, args.resume)
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
