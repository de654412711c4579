"""``capsmith show``."""

import argparse
from pathlib import Path

from capsmith.cli.keras_import import load_keras, load_keras_for
from capsmith.models.external.names import model_argument


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    parser.add_argument(
        "run",
        type=model_argument,
        metavar="RUN",
        help="a run directory or a saved ensemble, or a third-party captioner",
    )
    parser.add_argument("--layers", action="store_true", help="list the encoder's layers one by one")
    parser.add_argument("--diagram", type=Path, metavar="OUT.svg", help="also draw the (first) model")


def run(args: argparse.Namespace) -> None:
    """Prints the layers of a captioner."""
    from capsmith.core.terminal import print_line, print_text, require_output
    from capsmith.models.ensemble_run import find_runs
    from capsmith.models.external.names import is_external

    if is_external(args.run):
        return _external(str(args.run), args)
    if args.diagram is None:
        require_output("summary")
    runs = find_runs(args.run)
    configs = runs.configs(require_all=False)  # reports mistakes before Keras is loaded
    if runs.needs_keras:
        load_keras()
    from capsmith.evaluation.diagram import require_drawable, save_diagram
    from capsmith.models.captioner import Captioner

    if args.diagram is not None:
        require_drawable(args.diagram)
    captioner = Captioner.load_members(runs.runs, configs, average=runs.average)
    if args.diagram is not None:
        save_diagram(captioner, args.diagram)
    print_text(captioner.summary(args.layers))
    if args.diagram is not None:
        print_line(f"diagram  {args.diagram}")


def _external(name: str, args: argparse.Namespace) -> None:
    """Prints a line about a third-party captioner."""
    from capsmith.core.errors import ConfigError
    from capsmith.core.terminal import print_line
    from capsmith.models.external.load import load_external

    if args.layers or args.diagram is not None:
        option = "--layers" if args.layers else "--diagram"
        raise ConfigError(f"{option}: {name} is a third-party captioner, whose layers are not known here")
    load_keras_for(name)
    print_line(load_external(name).summary())
