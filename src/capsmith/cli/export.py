"""``capsmith export``."""

import argparse
from pathlib import Path

from capsmith.cli.keras_import import load_keras
from capsmith.cli.options import add_average, add_plugin, add_set

_EPILOG = (
    "The folder appears when it is complete and gives the captions of the run. Formats: onnx (capsmith's own runtime "
    "without TensorFlow), litert, savedmodel, web."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a run directory or a saved ensemble")
    parser.add_argument(
        "out", type=Path, nargs="?", metavar="OUT", help="the folder to write; default: beside RUN, as in RUN-onnx"
    )
    parser.epilog = _EPILOG
    parser.add_argument("--format", default="onnx", metavar="FORMAT", help="default: onnx")
    parser.add_argument(
        "--quantise",
        "--quantize",
        metavar="int8|float16|float32",
        help="int8: a quarter of the size, captions differ slightly; float16: half the size, nearly the same captions; "
        "default: float32, for web float16",
    )
    parser.add_argument(
        "--images",
        type=Path,
        metavar="FOLDER",
        help="images for the comparison with the run; default: dev images of its dataset, or drawn scenes",
    )
    parser.add_argument(
        "--onnxruntime-web",
        type=Path,
        metavar="TARBALL|FOLDER",
        help="for --format web: a copy of the npm package onnxruntime-web; default: npm fetches it",
    )
    add_average(parser)
    add_set(parser)
    add_plugin(parser)


def run(args: argparse.Namespace) -> None:
    """Writes the export, and prints its folder."""
    from capsmith.core.terminal import print_error, print_path
    from capsmith.models.ensemble_run import find_runs

    find_runs(args.run, args.set, args.average).configs()  # reports mistakes before Keras is loaded
    load_keras()
    from capsmith.deploy.export.export import export

    result = export(
        args.run, args.out, args.format, args.quantise, args.images, args.set, args.average, args.onnxruntime_web
    )
    print_error(f"{result.bytes / 1e6:.1f} MB, {result.comparison}")
    print_path(result.folder)
