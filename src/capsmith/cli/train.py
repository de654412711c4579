"""``capsmith train``."""

import argparse
from pathlib import Path

from capsmith.cli.keras_import import load_keras
from capsmith.cli.options import add_config, default_run

_SMOKE = (
    "data.limit=48",
    "text.min_count=1",
    "training.epochs=1",
    "training.batch_size=40",
    "evaluation.examples=8",
    "data.max_problems=1",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    add_config(parser)
    parser.add_argument("--run", type=Path, metavar="DIR", help="where everything goes (default: runs/NAME-OF-CONFIG)")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted training")
    parser.add_argument(
        "--smoke",
        action="store_true",
        help="try the whole way on 48 images a split, into DIR-smoke, made anew",
    )


def run(args: argparse.Namespace) -> None:
    """Trains."""
    from capsmith.config import load_config
    from capsmith.core.terminal import print_path

    directory = args.run or default_run(args.config)
    config = load_config(args.config, [*args.set, *(_SMOKE if args.smoke else ())])
    if args.smoke:
        directory = directory if directory.name else directory.absolute()
        directory = directory.with_name(directory.name + "-smoke")
        _clear(directory)
        if config.training.stage_one is not None:  # the first stage is tried too, in there
            begun = config.training.model_copy(update={"resume_weights_from": directory / "start"})
            config = config.model_copy(update={"training": begun})
        config = config.adapted_into([directory / f"adapted_{n + 1}" for n in range(len(config.encoders))])
    load_keras()
    from capsmith.training.fit import train

    train(config, directory, resume=args.resume)
    print_path(directory)


def _clear(directory: Path) -> None:
    """Removes an earlier trial, once it is sure that it is one and that nobody trains into it."""
    from capsmith.core.errors import CheckpointError
    from capsmith.core.files import clear_run
    from capsmith.core.locks import FILE as LOCK
    from capsmith.core.locks import locked

    if not directory.is_dir():
        return
    if directory.is_symlink():
        raise CheckpointError(f"{directory} is a link, behind which --smoke would remove a run: choose another --run")
    if any(directory.iterdir()) and not any((directory / name).is_file() for name in ("versions.json", LOCK)):
        raise CheckpointError(f"{directory} is not a run: --smoke would remove it; choose another --run")
    busy = f"another process is training into {directory}: wait for it, or choose another --run"
    with locked(directory, busy, CheckpointError):
        clear_run(directory)
