"""``capsmith caption``."""

import argparse
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from capsmith.cli.caption_model import caption_model
from capsmith.cli.folder_options import (
    add_folder_options,
    caption_into_files,
    choose_destination,
    pipeline_settings,
    report_failures,
    warn_of_domain,
)
from capsmith.cli.options import add_average, add_plugin, add_set
from capsmith.cli.search_options import add_search_options
from capsmith.cli.shard_options import add_shard_options, caption_into_shards, require_local
from capsmith.models.external.names import model_argument

_EXIT = (
    "Exit code: 0 if every image was captioned; 2 if some could not be read or some results not be written (the "
    "others are)."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    parser.add_argument(
        "run",
        type=model_argument,
        metavar="[RUN]",
        help="a run directory, an export or a saved ensemble; several before the images form an ensemble; or a "
        "third-party captioner: blip:NAME, hub:PRESET, exec:COMMAND; by default the starter, which comes with capsmith",
    )
    parser.add_argument(
        "images",
        nargs="*",
        metavar="IMAGE|FOLDER",
        help="images, or folders whose images are captioned, at any depth",
    )
    parser.epilog = _EXIT
    parser.add_argument(
        "--json",
        action="store_true",
        help="print one JSON line per image, with all beams and scores; with --attention also each word's probability; "
        "with --input, one line about the job",
    )
    parser.add_argument("--show", type=Path, metavar="OUT.png", help="draw the images with their captions")
    parser.add_argument(
        "--attention",
        type=Path,
        metavar="OUT.png",
        help="draw the attention for each word (for several runs, their mean)",
    )
    add_search_options(parser)
    add_folder_options(parser)
    add_shard_options(parser)
    add_average(parser)
    add_set(parser)
    add_plugin(parser)


def run(args: argparse.Namespace) -> int:
    """Captions each image, and reports unreadable ones at the end."""
    from capsmith.core.starter import starter_folder
    from capsmith.core.terminal import print_error, require_output
    from capsmith.deploy.folder.selection import select
    from capsmith.deploy.starter import introduction

    if args.input is not None:
        return caption_into_shards(args)
    require_local(args)
    models, paths = _split_arguments([args.run, *map(Path, args.images)])
    if not models:
        models = [starter_folder()]  # whatever is called "starter" here
        print_error(introduction())
    selection = select(paths, args.recursive)
    place, selection = choose_destination(args, selection)
    if place is None and not (args.show or args.attention):
        require_output("captions")
    model = caption_model(args, models)  # reports mistakes before Keras is loaded
    _require_outputs(args, selection.paths)
    for note in model.notes():
        print_error(f"note: {note}")
    if place is None:
        for note in selection.notes():
            print_error(note)

    if place is not None:
        return caption_into_files(args, model.load, selection, place, model.fingerprint, model.settings())
    return _caption_to_output(args, model.load(), selection)


def _caption_to_output(args: argparse.Namespace, captioner: Any, selection: Any) -> int:
    """Prints the captions, and draws the sheets."""
    from capsmith.core.terminal import print_json, print_line
    from capsmith.deploy.folder.record import record_of

    captions: list[tuple[Path, Any]] = []
    failed = list(selection.failed)
    several = captioner.config.decoding.n is not None
    try:
        for path, caption, error in _captions(args, captioner, selection.paths):
            if error is not None:
                failed.append(error)
                continue
            captions.append((path, caption))
            if args.json:
                print_json({"image": str(path), **record_of(caption, several)})
            else:
                for one in (caption, *caption.alternatives) if several else (caption,):
                    print_line(path, one.text)
    finally:
        warn_of_domain([(path, caption.domain) for path, caption in captions if caption.domain], len(captions))
        report_failures(failed)
    if args.show and captions:
        from capsmith.evaluation.plots import contact_sheet

        contact_sheet([(path, caption.text, path.name) for path, caption in captions], args.show)
    if args.attention and captions:
        from capsmith.evaluation.attention_plot import attention_sheet

        attention_sheet([(path, c.words, c.attention, c.probabilities) for path, c in captions], args.attention)
    return 2 if failed else 0


def _captions(args: argparse.Namespace, captioner: Any, paths: list[Path]) -> Iterator[Any]:
    """Yields the results of the pipeline; a single image, and attention maps, need no threads and their memory."""
    from capsmith.core.errors import ImageError
    from capsmith.deploy.folder.pipeline import Captioned, caption_images

    if not args.attention and len(paths) > 1:
        yield from caption_images(captioner, paths, **pipeline_settings(args))
        return
    attention = {"attention": True} if args.attention else {}
    for path in paths:
        try:
            yield Captioned(path, captioner.caption(path, **attention))
        except ImageError as error:
            yield Captioned(path, error=error)


def _split_arguments(paths: Sequence[str | Path]) -> tuple[list[str | Path], list[Path]]:
    """Separates the models, which come first, from the images; without any model the starter is used."""
    from capsmith.core.errors import ConfigError
    from capsmith.deploy.starter import is_for_starter
    from capsmith.models.external.names import is_external
    from capsmith.models.model_paths import is_model

    no_model = (number for number, path in enumerate(paths) if number and not (is_model(path) or is_external(path)))
    count = next(no_model, len(paths))
    if not is_external(paths[0]) and is_for_starter(Path(paths[0])):
        count = 0
    models, images = list(paths[:count]), [Path(path) for path in paths[count:]]
    if not images:
        raise ConfigError(f"no image given: {paths[-1]} is a run, and images come after the runs")
    if misplaced := next((path for path in images if is_model(path) or is_external(path)), None):
        raise ConfigError(f"{misplaced} is a run, but comes after {images[0]}: runs come before the images")
    return models, images


def _require_outputs(args: argparse.Namespace, images: list[Path]) -> None:
    """Checks that the sheets may be written, before any work is done."""
    if not (args.show or args.attention):
        return
    from capsmith.core.errors import ConfigError
    from capsmith.core.outputs import require_image_name, require_replaceable
    from capsmith.vision.image_marks import is_marked

    for option, path, kind in (("--show", args.show, "captions"), ("--attention", args.attention, "attention")):
        if path is not None:
            require_image_name(path, option)
            require_replaceable(path, is_marked(kind), option, images)
    if args.show and args.attention and os.path.realpath(args.show) == os.path.realpath(args.attention):
        raise ConfigError(f"--show and --attention both name {args.show}: give each its own file")
