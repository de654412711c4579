"""``capsmith caption``."""

import argparse
import os
from pathlib import Path
from typing import Any

from capsmith.cli.keras_import import load_keras
from capsmith.cli.options import add_plugin, add_set

_MOST = 20  # images named that could not be captioned
_EXIT = "Exit code: 0 when every image got a caption, 2 when some could not be read; the others got theirs."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a run directory")
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE|FOLDER", help="images, or folders whose images are captioned, at any depth"
    )
    parser.epilog = _EXIT
    parser.add_argument("--json", action="store_true", help="print a JSON line an image, with all beams and scores")
    parser.add_argument("--show", type=Path, metavar="OUT.png", help="draw the images with their captions")
    parser.add_argument("--attention", type=Path, metavar="OUT.png", help="draw where it looked for each word")
    add_set(parser)
    add_plugin(parser)


def run(args: argparse.Namespace) -> int:
    """Captions each image; those that cannot be read are named at the end."""
    from capsmith.core.errors import ImageError
    from capsmith.core.terminal import need_output, say, say_json, warn
    from capsmith.models.run_config import run_config

    if not (args.show or args.attention):
        need_output("captions")
    images, failed = _images([Path(given) for given in args.images])
    decoding = run_config(args.run, args.set).decoding  # mistakes are told before Keras loads
    _require_outputs(args, images)
    load_keras()
    from capsmith.models.captioner import Captioner

    captioner = Captioner.load(args.run)
    if captioner.given is not None and captioner.given.encoder == "unverified":
        warn(f"note: {args.run} {captioner.given.note}")
    done: list[tuple[Path, Any]] = []
    try:
        for path in images:
            try:
                caption = captioner.caption(path, decoding, attention=args.attention is not None)
            except ImageError as error:
                failed.append(error)
                continue
            done.append((path, caption))
            if args.json:
                say_json(_record(path, caption))
            else:
                say(path, caption.text)
    finally:
        _warn(done)
        _report(failed)
    if args.show and done:
        from capsmith.evaluation.plots import contact_sheet

        contact_sheet([(path, caption.text, path.name) for path, caption in done], args.show)
    if args.attention and done:
        from capsmith.evaluation.attention_plot import attention_sheet

        attention_sheet([(path, c.words, c.attention, c.probabilities) for path, c in done], args.attention)
    return 2 if failed else 0


def _warn(done: list[tuple[Path, Any]]) -> None:
    """Says in one line that images are of another kind than the training images, if any are."""
    from capsmith.core.terminal import warn

    unlike = [(path, caption.domain) for path, caption in done if caption.domain and caption.domain.unlike_training]
    if not unlike:
        return
    if len(done) == 1:
        path, check = unlike[0]
        far = f"nearest at {check.distance:.1f}, usual up to {check.threshold:.1f}"
        line = f"{path} is unlike the training images ({far}): expect a poor caption"
    else:
        some = ", ".join(str(path) for path, _ in unlike[:3]) + (", …" if len(unlike) > 3 else "")
        line = f"{len(unlike)} of {len(done)} images are unlike the training images ({some}): expect poor captions"
    warn(f"note: {line}")


def _require_outputs(args: argparse.Namespace, images: list[Path]) -> None:
    """Sees that the sheets may be written, before any work is done."""
    from capsmith.core.errors import ConfigError
    from capsmith.core.outputs import require_image_name, require_replaceable
    from capsmith.vision.image_marks import is_marked

    for option, path, kind in (("--show", args.show, "captions"), ("--attention", args.attention, "attention")):
        if path is not None:
            require_image_name(path, option)
            require_replaceable(path, is_marked(kind), option, images)
    if args.show and args.attention and os.path.realpath(args.show) == os.path.realpath(args.attention):
        raise ConfigError(f"--show and --attention are both to go to {args.show}: give each its own file")


def _images(given: list[Path]) -> tuple[list[Path], list[Exception]]:
    """Returns the images that are meant, and what is wrong with some of the folders; says what is passed over."""
    from capsmith.core.errors import CapsmithError, DataError
    from capsmith.core.terminal import warn
    from capsmith.data.image_listing import list_images

    images: list[Path] = []
    failed: list[Exception] = []
    for path in given:
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
        if passed_over := listing.passed_over():
            warn(f"{passed_over} in {path}")
    if not images:
        raise failed[0]
    return images, failed


def _report(failed: list[Exception]) -> None:
    """Names what could not be captioned, on standard error."""
    from capsmith.core.errors import printable
    from capsmith.core.terminal import complain

    for error in failed[:_MOST]:
        complain(f"capsmith: {printable(error)}")
    if len(failed) > _MOST:
        complain(f"capsmith: and {len(failed) - _MOST:,} more of {len(failed):,} that could not be read")


def _record(path: Path, caption: Any) -> dict[str, Any]:
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
