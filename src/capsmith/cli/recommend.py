"""``capsmith recommend``."""

import argparse
from pathlib import Path
from typing import Any

from capsmith.cli.options import add_plugin

_EPILOG = (
    "Similarity is the cosine of photo and caption in the joint space. The order may follow a corrected score "
    "(--correction), so similarities need not fall from line to line; --json has both. Exit code: 0; 2 if a photo "
    "could not be read (the others are done)."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    parser.add_argument(
        "run",
        type=Path,
        metavar="[RUN]",
        help="the run of a joint embedding; several before the photos form an ensemble; none with --engine",
    )
    parser.add_argument("images", nargs="*", metavar="IMAGE|FOLDER", help="photos, or folders of photos, at any depth")
    parser.epilog = _EPILOG
    parser.add_argument(
        "--captions",
        type=Path,
        metavar="FILE",
        help="the library: a text file with a caption a line; or CSV, TSV, JSON or JSON lines with a column caption "
        "and, optionally, description (what is matched, in plain words) and theme; by default the example library",
    )
    parser.add_argument("--top", type=int, default=5, metavar="N", help="captions for each photo; default: %(default)s")
    parser.add_argument(
        "--diverse", action="store_true", help="collapse near-duplicates, and prefer captions that differ"
    )
    parser.add_argument(
        "--theme", action="append", default=[], metavar="NAME", help="only captions of this theme; may be repeated"
    )
    parser.add_argument(
        "--correction",
        metavar="NAME",
        help="how to correct the ranking for captions that are close to every photo: none, csls or inverted_softmax; "
        "by default inverted_softmax, or none if the model has no images to compare with",
    )
    parser.add_argument(
        "--bank",
        type=Path,
        metavar="INDEX",
        help="compare with the images of this index, not with those of the training",
    )
    parser.add_argument(
        "--engine", metavar="clip:MODEL", help="use a CLIP model, a preset or a folder, instead of a run"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON line per photo")
    parser.add_argument(
        "--no-cache", action="store_true", help="do not keep the vectors of the captions in the user's cache"
    )
    add_plugin(parser)


def run(args: argparse.Namespace) -> int:
    """Prints the best captions of each photo, and reports unreadable ones at the end."""
    from capsmith.cli.keras_import import load_keras
    from capsmith.core.terminal import print_error, require_output
    from capsmith.core.user_cache import user_cache
    from capsmith.deploy.folder.selection import select
    from capsmith.deploy.recommend.library import Library
    from capsmith.deploy.recommend.recommender import Recommender, require_top
    from capsmith.deploy.recommend.vectors import FOLDER
    from capsmith.deploy.search.bank import bank_of_index
    from capsmith.models.embedders import load_embedder

    require_output("captions")
    models, paths = _split_arguments([args.run, *map(Path, args.images)], args.engine)
    require_top(args.top)
    library = Library.example() if args.captions is None else Library.read(args.captions)
    library.rows_of_themes(args.theme)
    selection = select(paths)
    for note in selection.notes():
        print_error(note)
    embedder = load_embedder(models or None, args.engine)
    load_keras()
    cache = None if args.no_cache else user_cache()
    bank = None if args.bank is None else bank_of_index(args.bank, embedder)
    recommender = Recommender(embedder, library, None if cache is None else cache / FOLDER, args.correction, bank)
    for note in recommender.notes:
        print_error(f"note: {note}")
    return _recommend(args, recommender, selection)


def _recommend(args: argparse.Namespace, recommender: Any, selection: Any) -> int:
    from capsmith.cli.folder_options import report_failures
    from capsmith.core.terminal import print_json, print_line
    from capsmith.deploy.recommend.photos import photo_vectors

    failed = list(selection.failed)
    several = len(selection.paths) > 1
    printed = 0
    for path, vector, error in photo_vectors(recommender.embedder, selection.paths):
        if vector is None:
            failed += [error] if error is not None else []
            continue
        found = recommender.recommend_vectors(vector[None], args.top, args.diverse, args.theme)[0]
        if args.json:
            captions = [vars(one) for one in found]
            print_json({"image": str(path), "correction": recommender.correction, "captions": captions})
            continue
        if several:
            if printed:
                print_line("")
            print_line(path)
        print_line(f"Top {len(found)} Best Captions:")
        for one in found:
            print_line(f"{one.rank}. {one.caption} (Similarity: {one.similarity:.4f})")
        printed += 1
    report_failures(failed)
    return 2 if failed else 0


def _split_arguments(paths: list[Path], engine: str | None) -> tuple[list[Path], list[Path]]:
    """Separates the runs, which come first, from the photos; with an engine there are no runs."""
    from capsmith.core.errors import ConfigError
    from capsmith.models.model_paths import is_model

    count = next((number for number, path in enumerate(paths) if not is_model(path)), len(paths))
    models, images = paths[:count], paths[count:]
    if engine is not None and models:
        raise ConfigError(f"--engine {engine} is the model, so {models[0]}, a run, has no place: name one of them")
    if engine is None and not models:
        raise ConfigError(
            f"{paths[0]} is not a run: name the run of a joint embedding before the photos (capsmith train --config "
            "flickr8k_embedding.yaml makes one), or use --engine clip:MODEL"
        )
    if not images:
        raise ConfigError(f"no photo given: {paths[-1]} is a run, and photos come after the runs")
    if misplaced := next((path for path in images if is_model(path)), None):
        raise ConfigError(f"{misplaced} is a run, but comes after {images[0]}: runs come before the photos")
    return models, images
