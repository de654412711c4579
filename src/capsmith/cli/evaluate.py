"""``capsmith evaluate``."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capsmith.cli.keras_import import load_keras, load_keras_for
from capsmith.cli.options import add_average, add_plugin, add_set
from capsmith.models.external.names import is_external, model_argument

if TYPE_CHECKING:
    from capsmith.evaluation.evaluate import Evaluation
    from capsmith.evaluation.retrieval.evaluate import RetrievalEvaluation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    parser.add_argument(
        "runs",
        type=model_argument,
        nargs="+",
        metavar="RUN",
        help="a run directory, an export or a saved ensemble; several form an ensemble; or, with --dataset, a "
        "third-party captioner: blip:NAME, hub:PRESET, exec:COMMAND",
    )
    parser.add_argument(
        "--dataset",
        type=Path,
        metavar="CONFIG",
        help="the config whose data a third-party captioner is scored on; runs have their own",
    )
    add_average(parser)
    parser.add_argument("--split", choices=("train", "dev", "test"), default="test", help="default: test")
    parser.add_argument(
        "--control",
        choices=("shuffled-images",),
        help="print the scores of the same captions on other images: far lower for a model that uses the image",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the report; default: report in RUN")
    parser.add_argument(
        "--json", action="store_true", help="print JSON: the scores, whether they are of the control, and the control"
    )
    add_set(parser)
    add_plugin(parser)


def run(args: argparse.Namespace) -> None:
    """Captions a split, scores the captions, and writes the report."""
    from capsmith.core.terminal import print_json, print_line, print_path, print_text
    from capsmith.metrics.table import table

    result = _evaluated(args)
    scores = result.control if args.control else result.scores
    if args.json:
        print_json(_record(result, args.control is not None), indent=2)
        return
    print_line(f"{args.split} split" + (", images shuffled" if args.control else ""))
    print_text(table(scores))
    print_path(result.page)


def _evaluated(args: argparse.Namespace) -> "Evaluation | RetrievalEvaluation":
    from capsmith.core.errors import ConfigError
    from capsmith.models.ensemble_run import find_runs

    if external := [str(run) for run in args.runs if is_external(run)]:
        return _external(args, external[0])
    if args.dataset is not None:
        raise ConfigError(
            f"--dataset {args.dataset}: the config of {args.runs[0]} names its data; change it by --set data.…"
        )
    runs = find_runs(args.runs, args.set, args.average)
    runs.any_configs()  # reports mistakes before Keras is loaded
    if runs.needs_keras:
        load_keras()
    from capsmith.evaluation.kinds import evaluate

    return evaluate(args.runs, args.split, args.set, out=args.out, average=args.average)


def _external(args: argparse.Namespace, name: str) -> "Evaluation":
    """Evaluates a third-party captioner."""
    from capsmith.core.errors import ConfigError
    from capsmith.evaluation.external import evaluate_external

    if len(args.runs) > 1 or args.average:
        raise ConfigError(f"{name}: a third-party captioner forms no ensemble: name it alone")
    if args.dataset is None:
        raise ConfigError(f"{name} has no data of its own: name a config by --dataset, such as flickr8k.yaml")
    load_keras_for(name)
    return evaluate_external(name, args.dataset, args.split, args.set, args.out)


def _record(result: "Evaluation | RetrievalEvaluation", control: bool) -> dict[str, Any]:
    """Returns the ``--json`` output: the scores (with ``--control``, of the control), and the control scores."""
    scores, shuffled = (
        {name: score.as_dict() for name, score in group.items()} for group in (result.scores, result.control)
    )
    return {
        "split": result.split,
        "images": len(result.captions),
        "is_control": control,
        "scores": shuffled if control else scores,
        "control": {"kind": "shuffled-images", "scores": shuffled},
        "report": str(result.page),
    }
