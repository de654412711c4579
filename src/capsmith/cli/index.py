"""``capsmith index``."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from capsmith.cli.options import add_plugin

_MAX_WORKERS = 256


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    parser.add_argument(
        "images",
        nargs="+",
        metavar="[RUN …] FOLDER",
        help="the run of an embedding, several for an ensemble, and the folder of the images",
    )
    parser.epilog = "Exit code: 0 if every image can be searched; 2 if some could not be read (the others can)."
    parser.add_argument("--out", required=True, metavar="INDEX", help="the index, a folder; an existing one is updated")
    parser.add_argument(
        "--engine",
        action="append",
        metavar="ENGINE",
        help="local or ray: a sharded job computes the images, in this process or on a Ray cluster; clip:MODEL: a CLIP "
        "model, by name or path, instead of a RUN; may be given for both",
    )
    parser.add_argument(
        "--captions",
        metavar="MODEL",
        help="also caption the images, to search the words: a captioner's run or export, or starter",
    )
    parser.add_argument(
        "--recursive",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="look into the folders of the folder, at any depth (the default)",
    )
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="threads that decode images; by default one a core; of --engine ray, processes",
    )
    add_plugin(parser)


def run(args: argparse.Namespace) -> int:
    """Indexes what is new or changed, and says what it did."""
    from capsmith.cli.folder_options import report_failures
    from capsmith.cli.keras_import import load_keras
    from capsmith.core.errors import ConfigError
    from capsmith.core.terminal import print_line
    from capsmith.deploy.search.build import build_index
    from capsmith.deploy.search.engines import Engines
    from capsmith.models.embedders import load_embedder

    if remote := next((name for name in (*args.images, args.out) if "://" in name), None):
        raise ConfigError(
            f"{remote}: an index and its images are in local folders, or in those of a mounted file system"
        )
    *runs, folder = map(Path, args.images)
    engines = Engines.of(args.engine)
    if args.workers is not None and not 1 <= args.workers <= _MAX_WORKERS and engines.computing != "ray":
        raise ConfigError(f"--workers {args.workers}: a number from 1 to {_MAX_WORKERS}")
    require_one_model(runs, engines.model, "RUN FOLDER")
    captioning = _captioning(args, engines.computing is not None) if args.captions else None
    embedder = load_embedder(runs or None, engines.model)
    report = build_index(
        folder,
        args.out,
        embedder,
        captioning,
        recursive=args.recursive,
        workers=args.workers,
        runs=runs,
        engine=args.engine,
        plugins=args.plugin,
        prepare=load_keras,
    )
    print_line(f"{args.out}: {report}")
    report_failures(report.failed)
    return 2 if report.failed else 0


def require_one_model(runs: Sequence[Path], engine: str | None, usage: str) -> None:
    """Checks that either runs or an engine are named.

    Raises:
        ConfigError: None or both are.
    """
    from capsmith.core.errors import ConfigError

    if runs and engine:
        raise ConfigError(f"{runs[0]} and --engine {engine} are both named: use one of them")
    if not runs and not engine:
        raise ConfigError(f"no model is named: {usage}, or --engine clip:MODEL")


def _captioning(args: argparse.Namespace, computing: bool) -> Any:
    """Returns what captions the images; the model is loaded when there is something to caption."""
    import os
    import sys

    from capsmith.cli.keras_import import load_keras
    from capsmith.deploy.batch.captions import CaptionWork
    from capsmith.deploy.folder.pipeline import caption_images
    from capsmith.deploy.named_captioner import CaptionerName
    from capsmith.deploy.search.build import Captioning

    name = CaptionerName((args.captions,), full=bool(args.plugin), plugins=tuple(args.plugin), prepare=load_keras)
    model = name.find()

    def captions(paths: list[Path]) -> Any:
        captioner = model.load()
        workers = args.workers or min(os.cpu_count() or 1, 16)
        return caption_images(captioner, paths, workers=workers, overlap="keras" not in sys.modules)

    return Captioning(model.fingerprint(), captions, CaptionWork.of(model) if computing else None)
