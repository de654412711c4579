"""``capsmith caption``."""

import argparse
import os
from pathlib import Path
from typing import Any

from capsmith.cli.keras_import import load_keras
from capsmith.cli.options import add_average, add_plugin, add_set
from capsmith.cli.search_options import add_search_options, as_overrides, check_words, overrides_of

_MAX_REPORTED = 20  # unreadable images that are listed
_EXIT = "Exit code: 0 if every image was captioned, 2 if some could not be read (the others are captioned)."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    parser.add_argument(
        "run",
        type=Path,
        metavar="RUN",
        help="a run directory or a saved ensemble; several before the images form an ensemble",
    )
    parser.add_argument(
        "images",
        nargs="+",
        metavar="IMAGE|FOLDER",
        help="images, or folders whose images are captioned, at any depth",
    )
    parser.epilog = _EXIT
    parser.add_argument("--json", action="store_true", help="print one JSON line per image, with all beams and scores")
    parser.add_argument("--show", type=Path, metavar="OUT.png", help="draw the images with their captions")
    parser.add_argument(
        "--attention",
        type=Path,
        metavar="OUT.png",
        help="draw the attention for each word (for several runs, their mean)",
    )
    add_search_options(parser)
    add_average(parser)
    add_set(parser)
    add_plugin(parser)


def run(args: argparse.Namespace) -> int:
    """Captions each image, and reports unreadable ones at the end."""
    from capsmith.core.errors import ImageError
    from capsmith.core.terminal import print_error, print_json, print_line, require_output
    from capsmith.models.ensemble_run import find_runs
    from capsmith.models.run import RunDirectory

    if not (args.show or args.attention):
        require_output("captions")
    models, paths = _split_arguments([args.run, *map(Path, args.images)])
    images, failed = _list_images(paths)
    runs = find_runs(models, [*args.set, *as_overrides(overrides_of(args))], args.average)
    configs = runs.configs(require_all=False)  # reports mistakes before Keras is loaded
    _require_outputs(args, images)
    for note in check_words(configs[0], RunDirectory(runs.runs[0]).vocabulary):
        print_error(f"note: {note}")
    load_keras()
    from capsmith.models.captioner import Captioner

    captioner = Captioner.load_members(runs.runs, configs, average=runs.average)
    for member in captioner.members:
        if member.feature_origin is not None and member.feature_origin.encoder == "unverified":
            print_error(f"note: {member.run} {member.feature_origin.note}")
    captions: list[tuple[Path, Any]] = []
    several = configs[0].decoding.n is not None
    try:
        for path in images:
            try:
                caption = captioner.caption(path, attention=args.attention is not None)
            except ImageError as error:
                failed.append(error)
                continue
            captions.append((path, caption))
            if args.json:
                print_json(_record(path, caption))
            else:
                for one in (caption, *caption.alternatives) if several else (caption,):
                    print_line(path, one.text)
    finally:
        _warn_of_domain(captions)
        _report(failed)
    if args.show and captions:
        from capsmith.evaluation.plots import contact_sheet

        contact_sheet([(path, caption.text, path.name) for path, caption in captions], args.show)
    if args.attention and captions:
        from capsmith.evaluation.attention_plot import attention_sheet

        attention_sheet([(path, c.words, c.attention, c.probabilities) for path, c in captions], args.attention)
    return 2 if failed else 0


def _split_arguments(paths: list[Path]) -> tuple[list[Path], list[Path]]:
    """Separates the models, which come first, from the images."""
    from capsmith.core.errors import ConfigError
    from capsmith.models.ensemble_run import is_model

    count = next((number for number, path in enumerate(paths) if number and not is_model(path)), len(paths))
    models, images = paths[:count], paths[count:]
    if not images:
        raise ConfigError(f"no image given: {paths[-1]} is a run, and images come after the runs")
    if misplaced := next((path for path in images if is_model(path)), None):
        raise ConfigError(f"{misplaced} is a run, but comes after {images[0]}: runs come before the images")
    return models, images


def _warn_of_domain(captions: list[tuple[Path, Any]]) -> None:
    """Prints one warning about all images that differ from the training images, if any."""
    from capsmith.core.terminal import print_error

    unlike = [(path, caption.domain) for path, caption in captions if caption.domain and caption.domain.unlike_training]
    if not unlike:
        return
    if len(captions) == 1:
        path, check = unlike[0]
        distance = f"nearest at {check.distance:.1f}, usual up to {check.threshold:.1f}"
        line = f"{path} is unlike the training images ({distance}): expect a poor caption"
    else:
        names = ", ".join(str(path) for path, _ in unlike[:3]) + (", …" if len(unlike) > 3 else "")
        line = f"{len(unlike)} of {len(captions)} images are unlike the training images ({names}): expect poor captions"
    print_error(f"note: {line}")


def _require_outputs(args: argparse.Namespace, images: list[Path]) -> None:
    """Checks that the sheets may be written, before any work is done."""
    from capsmith.core.errors import ConfigError
    from capsmith.core.outputs import require_image_name, require_replaceable
    from capsmith.vision.image_marks import is_marked

    for option, path, kind in (("--show", args.show, "captions"), ("--attention", args.attention, "attention")):
        if path is not None:
            require_image_name(path, option)
            require_replaceable(path, is_marked(kind), option, images)
    if args.show and args.attention and os.path.realpath(args.show) == os.path.realpath(args.attention):
        raise ConfigError(f"--show and --attention both name {args.show}: give each its own file")


def _list_images(paths: list[Path]) -> tuple[list[Path], list[Exception]]:
    """Lists the images at paths, and the errors of folders; warns about skipped files."""
    from capsmith.core.errors import CapsmithError, DataError
    from capsmith.core.terminal import print_error
    from capsmith.data.image_listing import list_images

    images: list[Path] = []
    failed: list[Exception] = []
    for path in paths:
        if not path.is_dir():
            images.append(path)
            continue
        try:
            listing = list_images(path)
        except DataError as error:
            failed.append(error)
            continue
        if not listing.images:
            failed.append(listing.none_found())
            continue
        images += [path / image for image in listing.images]
        failed += [CapsmithError(folder) for folder in listing.unreadable]
        if ignored := listing.ignored_files():
            print_error(f"{ignored} in {path}")
    if not images:
        raise failed[0]
    return images, failed


def _report(failed: list[Exception]) -> None:
    """Reports the images that could not be captioned on standard error."""
    from capsmith.core.errors import printable
    from capsmith.core.terminal import print_error_message

    for error in failed[:_MAX_REPORTED]:
        print_error_message(f"capsmith: {printable(error)}")
    if len(failed) > _MAX_REPORTED:
        print_error_message(f"capsmith: and {len(failed) - _MAX_REPORTED:,} more of {len(failed):,} unreadable images")


def _record(path: Path, caption: Any) -> dict[str, Any]:
    """Returns the ``--json`` output for an image."""
    beams = [caption, *caption.alternatives]
    domain = caption.domain and {
        "unlike_training": caption.domain.unlike_training,
        "training_distance": round(caption.domain.distance, 4),
        "training_threshold": round(caption.domain.threshold, 4),
    }
    return {
        "image": str(path),
        "caption": caption.text,
        **(domain or {}),
        "beams": [{"caption": b.text, "score": b.score, "log_probability": b.log_probability} for b in beams],
    }
