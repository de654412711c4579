"""``capsmith evaluate``."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capsmith.cli.keras_import import load_keras
from capsmith.cli.options import add_plugin, add_set

if TYPE_CHECKING:
    from capsmith.evaluation.evaluate import Evaluation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    parser.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN", help="a run directory; several write their captions together"
    )
    parser.add_argument(
        "--average",
        action="store_true",
        help="of several runs, take the mean of their weights: for stages of one training",
    )
    parser.add_argument("--split", choices=("train", "dev", "test"), default="test", help="default: test")
    parser.add_argument(
        "--control",
        choices=("shuffled-images",),
        help="print the scores of the same captions on other images: a model that looks does far worse",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="where the report goes; default: report in RUN")
    parser.add_argument(
        "--json", action="store_true", help="print JSON: scores, whether they are the control, and the control"
    )
    add_set(parser)
    add_plugin(parser)


def run(args: argparse.Namespace) -> None:
    """Decodes, scores, reports."""
    from capsmith.core.terminal import say, say_json, say_path, say_text
    from capsmith.models.run_config import run_configs

    run_configs(args.runs, args.set)  # mistakes are told before Keras loads
    load_keras()
    from capsmith.evaluation.evaluate import evaluate
    from capsmith.metrics.table import table

    done = evaluate(args.runs, args.split, args.set, out=args.out, averaged=args.average)
    shown = done.control if args.control else done.scores
    if args.json:
        say_json(_record(done, args.control is not None), indent=2)
        return
    say(f"{args.split} split" + (", images shuffled" if args.control else ""))
    say_text(table(shown))
    say_path(done.directory / "index.html")


def _record(done: "Evaluation", control: bool) -> dict[str, Any]:
    """Returns what ``--json`` prints: ``scores``, which are the control's where it was asked for, and the control."""
    scores, shuffled = ({n: s.as_dict() for n, s in some.items()} for some in (done.scores, done.control))
    return {
        "split": done.split,
        "images": len(done.captions),
        "is_control": control,
        "scores": shuffled if control else scores,
        "control": {"kind": "shuffled-images", "scores": shuffled},
        "report": str(done.directory / "index.html"),
    }
