"""``capsmith detect``."""

import argparse
import os
from pathlib import Path
from typing import Any

_EXIT = (
    "Boxes are left, top, right and bottom in pixels of the upright image. The environment variable CAPSMITH_DETECTOR "
    "names the model if --model does not. Exit code: 0; 2 if an image could not be read (the others are done)."
)
_MAX_WORKERS = 256
_DETECTOR = "CAPSMITH_DETECTOR"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    parser.add_argument("images", nargs="+", metavar="IMAGE|FOLDER", help="images, or folders of images, at any depth")
    parser.epilog = _EXIT
    parser.add_argument(
        "--model",
        metavar="MODEL",
        help="the detector: an ONNX file of the YOLO, NanoDet or DETR families, or hub: and a preset of keras-hub",
    )
    parser.add_argument(
        "--threshold", type=float, metavar="T", help="least confidence, 0 to 1; by default one that suits the model"
    )
    parser.add_argument(
        "--labels", type=Path, metavar="FILE", help="the names of the classes, one a line, if the model has none"
    )
    parser.add_argument("--only", metavar="LABEL,…", help="only objects of these classes, such as person,dog")
    parser.add_argument("--show", type=Path, metavar="OUT.png", help="draw the boxes; several images become a sheet")
    parser.add_argument("--json", action="store_true", help="print one JSON line per image, with all boxes")
    parser.add_argument(
        "--coco",
        type=Path,
        metavar="OUT.json",
        help="write a COCO file: a data set, or with --annotations a list of results with its numbers",
    )
    parser.add_argument(
        "--annotations",
        type=Path,
        metavar="INSTANCES.json",
        help="score against the boxes of a COCO file, and print the table instead of objects; with --json as JSON",
    )
    parser.add_argument(
        "--recursive",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="look into the folders of a folder, at any depth (the default)",
    )
    parser.add_argument("--workers", type=int, metavar="N", help="threads that decode images; by default one a core")


def run(args: argparse.Namespace) -> int:
    """Prints the objects of each image, and reports unreadable ones at the end."""
    from capsmith.cli.detection_results import Results
    from capsmith.core.errors import ConfigError
    from capsmith.core.terminal import print_error, require_output
    from capsmith.deploy.folder.selection import select

    if args.threshold is not None and not 0 <= args.threshold <= 1:
        raise ConfigError(f"--threshold {args.threshold}: a number from 0 to 1")
    if args.workers is not None and not 1 <= args.workers <= _MAX_WORKERS:
        raise ConfigError(f"--workers {args.workers}: a number from 1 to {_MAX_WORKERS}")
    if args.only is not None and args.annotations is not None:
        raise ConfigError("--only and --annotations: scores are those of all classes; leave one of the two out")
    model = detector_model(args.model)
    if not (args.show or args.coco):
        require_output("objects")
    selection = select(list(map(Path, args.images)), args.recursive)
    results = Results(args, selection)  # reports mistakes before the detector is loaded
    for note in selection.notes():
        print_error(note)
    detector = _loaded(model, args)
    results.begin(detector)
    return _detect(args, detector, results, selection)


def detector_model(named: str | None, option: str = "--model") -> str:
    """Returns the detector that the user chose: by an option, otherwise by the environment.

    Raises:
        ConfigError: None is chosen.
    """
    from capsmith.core.errors import ConfigError

    if model := named or os.environ.get(_DETECTOR):
        return model
    raise ConfigError(
        f"no detector is named, and capsmith comes with none: export a YOLO, NanoDet or DETR model to ONNX and pass "
        f"{option} MODEL.onnx, or {option} hub:PRESET with keras-hub (docs/detection.md says how); {_DETECTOR}=MODEL "
        "sets it for good"
    )


def _loaded(model: str, args: argparse.Namespace) -> Any:
    from capsmith.cli.keras_import import load_keras_for
    from capsmith.vision.detection.load import load_detector

    load_keras_for(model)
    return load_detector(model, args.threshold, args.labels)


def _detect(args: argparse.Namespace, detector: Any, results: Any, selection: Any) -> int:
    from capsmith.cli.folder_options import report_failures
    from capsmith.core.progress import track
    from capsmith.deploy.folder.detection import detect_images

    failed = list(selection.failed)
    workers = args.workers or min(os.cpu_count() or 1, 16)
    found = detect_images(detector, results.paths, results.threshold, workers)
    try:
        for path, detected, error in track(_Counted(found, len(results.paths)), desc="detect", unit="image"):
            if error is None:
                error = results.add(path, detected)
            if error is not None:
                failed.append(error)
    finally:
        found.close()
        report_failures(failed)
    results.finish()
    return 2 if failed else 0


class _Counted:
    """An iterable with a known length, for the progress bar."""

    def __init__(self, items: Any, count: int) -> None:
        self._items, self._count = items, count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Any:
        return iter(self._items)
