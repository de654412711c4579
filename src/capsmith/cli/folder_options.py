"""Options of ``capsmith caption`` for many images, and its reports at the end."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

_MAX_REPORTED = 20  # unreadable images that are listed
_MAX_WORKERS = 256


def add_folder_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    group = parser.add_argument_group("results in files")
    group.add_argument("--write", metavar="FORMAT,…", help="write the captions into files: txt, xmp, jsonl, csv, html")
    group.add_argument(
        "--output",
        type=place_argument,
        metavar="FOLDER|FILE",
        help="where results go; by default beside the images, which must be in one folder; with --input, a folder or "
        "an address such as s3://BUCKET/FOLDER",
    )
    choice = group.add_mutually_exclusive_group()
    choice.add_argument(
        "--overwrite", action="store_true", help="caption every image again, and replace files of other programs"
    )
    choice.add_argument(
        "--skip-done",
        action="store_true",
        help="keep captions that another model or other settings made, and text files that were edited",
    )
    group.add_argument(
        "--in-place", action="store_true", help="write xmp into JPEG and PNG files themselves, not beside them"
    )
    group.add_argument(
        "--recursive",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="look into the folders of a folder, at any depth (the default)",
    )
    group.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="threads that decode images; by default one a core; of --engine ray, processes",
    )
    group.add_argument(
        "--batch-size", type=int, metavar="N", help="images that are captioned at once; by default 16, in Keras 32"
    )


def place_argument(argument: str) -> str | Path:
    """Returns an argument of a command line: a path, or unchanged if it is an address such as ``s3://…``."""
    return argument if "://" in argument else Path(argument)


def choose_destination(args: argparse.Namespace, selection: Any) -> tuple[Any, Any]:
    """Returns the ``Destination`` of results, or None, and the selection with its final names.

    Raises:
        ConfigError: The options contradict each other.
    """
    from capsmith.core.errors import ConfigError
    from capsmith.deploy.folder.destination import destination, with_choices

    pipeline_settings(args)
    found = destination(args.write, args.output, selection)
    if found is None:
        for name in ("overwrite", "skip_done", "in_place"):
            if getattr(args, name):
                raise ConfigError(f"--{name.replace('_', '-')} needs --write: nothing is written without it")
        return None, selection
    if args.show or args.attention:
        raise ConfigError("--show and --attention draw some images, --write captions many: use one of them")
    return with_choices(found[0], args.overwrite, args.skip_done, args.in_place), found[1]


def pipeline_settings(args: argparse.Namespace) -> dict[str, Any]:
    """Returns the arguments of ``caption_images`` that the options set.

    Raises:
        ConfigError: A number is out of range.
    """
    import os

    from capsmith.core.errors import ConfigError

    for name, value, most in (("--workers", args.workers, _MAX_WORKERS), ("--batch-size", args.batch_size, 4096)):
        if value is not None and not 1 <= value <= most:
            raise ConfigError(f"{name} {value}: a number from 1 to {most:,}")
    batch = {} if args.batch_size is None else {"batch_size": args.batch_size}
    # Keras and TensorFlow trace functions, which two threads should not do at once
    return {"workers": args.workers or min(os.cpu_count() or 1, 16), "overlap": "keras" not in sys.modules, **batch}


def caption_into_files(
    args: argparse.Namespace,
    load: Callable[[], Any],
    selection: Any,
    place: Any,
    fingerprint: Callable[[], str],
    settings: dict[str, Any],
) -> int:
    """Captions images into files, prints the names of the tables, and reports what failed; returns the exit code."""
    from capsmith.core.terminal import print_error, print_json, print_path
    from capsmith.deploy.folder.caption_folder import caption_folder
    from capsmith.deploy.folder.pipeline import caption_images

    def captions(paths: list[Path]) -> Any:
        captioner = load()
        return caption_images(captioner, paths, **pipeline_settings(args))

    def show(result: Any) -> None:
        if result.record is not None:
            print_json({"image": str(result.item.path), **result.record})

    for note in selection.notes(place.results(selection)):
        print_error(note)
    several = bool(settings["decoding"].get("n"))
    output = show if args.json else None
    report = caption_folder(captions, selection, place, fingerprint(), settings, output, several)
    if not args.json:
        for path in report.files:
            print_path(path)
    unlike = [(path, None) for path in report.unlike]
    warn_of_domain(unlike, report.captioned)
    failed = [*selection.failed, *report.failed]
    if report.kept:
        names = ", ".join(report.kept[:3]) + (", …" if len(report.kept) > 3 else "")
        print_error(f"note: kept {len(report.kept):,} files that capsmith did not write, or that were edited ({names})")
    report_failures(failed)
    return 2 if failed or report.kept else 0


def warn_of_domain(checks: Sequence[tuple[Path, Any]], count: int) -> None:
    """Prints one warning about all images that differ from the training images, if any.

    Args:
        checks: Images, and their ``DomainCheck``; None: the image is known to be unlike the training images.
        count: Number of images that were captioned.
    """
    from capsmith.core.terminal import print_error

    unlike = [(path, check) for path, check in checks if check is None or check.unlike_training]
    if not unlike:
        return
    path, check = unlike[0]
    if count == 1:
        distance = "" if check is None else f" (nearest at {check.distance:.1f}, usual up to {check.threshold:.1f})"
        line = f"{path} is unlike the training images{distance}: expect a poor caption"
    else:
        names = ", ".join(str(path) for path, _ in unlike[:3]) + (", …" if len(unlike) > 3 else "")
        line = f"{len(unlike)} of {count} images are unlike the training images ({names}): expect poor captions"
    print_error(f"note: {line}")


def report_failures(failed: Sequence[Exception]) -> None:
    """Reports the images that could not be captioned on standard error."""
    from capsmith.core.errors import printable
    from capsmith.core.terminal import print_error_message

    for error in failed[:_MAX_REPORTED]:
        print_error_message(f"capsmith: {printable(error)}")
    if len(failed) > _MAX_REPORTED:
        print_error_message(f"capsmith: and {len(failed) - _MAX_REPORTED:,} more of {len(failed):,} unreadable images")
