"""``capsmith describe``."""

import argparse
from pathlib import Path
from typing import Any

from capsmith.cli.options import add_plugin

_EXIT = "Exit code: 0; 2 if an image could not be read, or a part of its description failed (the others are done)."
_HINTS = {
    "objects": "--detector MODEL.onnx",
    "similar": "--library INDEX",
    "found": "--source FOLDER",
    "recommendations": "--library INDEX, --embedding RUN or --engine clip:MODEL",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE|FOLDER", help="images, or folders of images, which are described one by one"
    )
    parser.epilog = _EXIT
    parser.add_argument(
        "--model",
        metavar="MODEL",
        help="the captioner: a run, an export, or a third-party one such as blip:NAME; by default the starter",
    )
    parser.add_argument("--detector", metavar="MODEL.onnx", help="finds objects, which confirm words of the caption")
    parser.add_argument(
        "--threshold", type=float, metavar="T", help="least confidence of objects; by default the detector's"
    )
    parser.add_argument(
        "--library", type=Path, metavar="INDEX", help="an index of images: finds those that are similar"
    )
    parser.add_argument(
        "--captions",
        type=Path,
        metavar="FILE",
        help="the captions to recommend from, as for capsmith recommend; by default the example library",
    )
    parser.add_argument(
        "--embedding",
        type=Path,
        action="append",
        metavar="RUN",
        help="the run of a joint embedding; repeat for an ensemble; by default the one that made the index",
    )
    parser.add_argument("--engine", metavar="clip:MODEL", help="a CLIP model instead of a run")
    parser.add_argument(
        "--source",
        metavar="SOURCE",
        help="also rank images of a FOLDER, of a list of addresses (urls.txt), or of pixabay",
    )
    parser.add_argument(
        "--query",
        metavar="WORDS",
        help="what the source is asked; auto (the default) takes the nouns of the caption that were confirmed",
    )
    parser.add_argument(
        "--candidates",
        type=int,
        metavar="N",
        help="images of the source to compare; by default 200 of a folder, 30 of other sources",
    )
    parser.add_argument(
        "--top",
        type=int,
        default=6,
        metavar="N",
        help="similar images of each kind, and captions; default: %(default)s",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON line per image")
    parser.add_argument("--html", type=Path, metavar="OUT.html", help="write a page with all of it")
    add_plugin(parser)


def run(args: argparse.Namespace) -> int:
    """Describes each image, and reports what failed at the end."""
    from capsmith.cli.folder_options import report_failures
    from capsmith.core.errors import CapsmithError, ConfigError, ImageError
    from capsmith.core.terminal import print_error, print_json, require_output
    from capsmith.deploy.describe.pipeline import MAX_TOP
    from capsmith.deploy.describe.record import part_title
    from capsmith.deploy.folder.selection import select

    if not 1 <= args.top <= MAX_TOP:
        raise ConfigError(f"--top {args.top}: a number from 1 to {MAX_TOP}")
    if args.threshold is not None and not 0 <= args.threshold <= 1:
        raise ConfigError(f"--threshold {args.threshold}: a number from 0 to 1")
    selection = select([Path(image) for image in args.images])
    if args.html is None:
        require_output("descriptions")
    else:
        _require_page(args.html, selection.paths)
    describer = load_describer(args)
    for note in selection.notes():
        print_error(note)
    for part, reason in describer.missing().items():
        if part in _HINTS:
            print_error(f"note: {part_title(part)} left out: {reason} ({_HINTS[part]})")
    failed: list[Exception] = list(selection.failed)
    described: list[tuple[Any, Any]] = []
    query = None if args.query == "auto" else args.query
    for number, path in enumerate(selection.paths):
        try:
            one = describer.describe(path, top=args.top, threshold=args.threshold, query=query)
        except ImageError as error:
            failed.append(error)
            continue
        failed += [CapsmithError(f"{path}: {part_title(part)}: {reason}") for part, reason in one.failed.items()]
        if args.json:
            print_json(one.as_dict())
        else:
            _print(one, number > 0)
        if args.html is not None:
            described.append((path, one))
    if described:
        from capsmith.deploy.describe.page import write_page

        write_page(described, args.html)
    report_failures(failed)
    return 2 if failed else 0


def load_describer(args: argparse.Namespace) -> Any:
    """Returns the parts that the options name, loaded; mistakes are reported before anything that takes time."""
    from capsmith.cli.caption_model import plain_model
    from capsmith.cli.keras_import import load_keras
    from capsmith.core.errors import ConfigError
    from capsmith.core.starter import starter_folder
    from capsmith.deploy.describe.parts import ImageVectors
    from capsmith.deploy.describe.pipeline import Describer
    from capsmith.deploy.describe.record import Names
    from capsmith.deploy.recommend.library import Library
    from capsmith.deploy.search.image_index import ImageIndex

    model = plain_model(args.model or starter_folder(), bool(args.plugin))
    library = _library(args)
    source = _source(args)
    detector = _detector(args)
    embedder = _embedder(args)
    for option in ("captions", "source"):
        if getattr(args, option) is not None and embedder is None:
            raise ConfigError(f"--{option} needs a joint embedding: {_HINTS['recommendations']}")
    index = None if args.library is None else ImageIndex.open(args.library, embedder)
    captioner = model.load()
    names = Names(
        captioner=str(args.model or "the starter"),
        detector=getattr(detector, "name", "detector"),
        index=str(args.library),
        library="the example library" if args.captions is None else str(args.captions),
    )
    if embedder is None:
        return Describer(captioner, detector, names=names)
    load_keras()
    recommender = _recommender(embedder, library or Library.example())
    return Describer(captioner, detector, ImageVectors(embedder), index, recommender, source, names)


def _library(args: argparse.Namespace) -> Any:
    from capsmith.deploy.recommend.library import Library

    return None if args.captions is None else Library.read(args.captions)


def _detector(args: argparse.Namespace) -> Any:
    if args.detector is None:
        return None
    from capsmith.cli.keras_import import load_keras_for
    from capsmith.vision.detection import load_detector

    load_keras_for(args.detector)
    return load_detector(args.detector)


def _source(args: argparse.Namespace) -> Any:
    from capsmith.core.errors import ConfigError

    if args.source is None:
        for option in ("query", "candidates"):
            if getattr(args, option) is not None:
                raise ConfigError(f"--{option} needs --source: a folder, a list of addresses, or pixabay")
        return None
    import os

    from capsmith.deploy.describe.sources.opening import MAX_LIMIT, open_source

    if args.candidates is not None:
        return open_source(args.source, args.candidates)
    return open_source(args.source, MAX_LIMIT) if os.path.isdir(args.source) else open_source(args.source)


def _embedder(args: argparse.Namespace) -> Any:
    """Returns the joint embedding; None if none is named."""
    if args.library is not None:
        from capsmith.deploy.search.model import model_of_index

        return model_of_index(args.library, args.embedding, args.engine)
    if args.embedding or args.engine:
        from capsmith.models.embedders import load_embedder

        return load_embedder(args.embedding, args.engine)
    return None


def _recommender(embedder: Any, library: Any) -> Any:
    from capsmith.core.terminal import print_error
    from capsmith.core.user_cache import user_cache
    from capsmith.deploy.recommend.recommender import Recommender
    from capsmith.deploy.recommend.vectors import FOLDER

    cache = user_cache()
    recommender = Recommender(embedder, library, None if cache is None else cache / FOLDER)
    for note in recommender.notes:
        print_error(f"note: {note}")
    return recommender


def _require_page(path: Path, images: list[Path]) -> None:
    """Checks that the page may be written, before any work is done."""
    from capsmith.core.errors import ConfigError
    from capsmith.core.outputs import is_page, require_replaceable
    from capsmith.deploy.describe.page import MOST

    if path.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"--html {path}: the name of a page ends in .html")
    if len(images) > MOST:
        raise ConfigError(f"--html {path}: a page has at most {MOST} images, and {len(images):,} are named")
    if path.parent.exists() and not path.parent.is_dir():
        raise ConfigError(f"--html {path}: its folder is a file")
    require_replaceable(path, is_page, "--html", images)


def _print(one: Any, several: bool) -> None:
    """Prints a description as text."""
    from capsmith.core.terminal import print_line

    if several:
        print_line("")
    print_line(one.image)
    for heading, lines in _lines(one):
        for number, line in enumerate(lines):
            print_line(f"  {heading if not number else '':<16} {line}")


def _lines(one: Any) -> Any:
    """Yields the lines of each part that there is, with its heading."""
    if one.caption is not None:
        yield "caption", [one.caption.text]
    if one.grounding is not None:
        words = one.grounding.words
        named = [(w.status, w.word, _scores(one, w.objects) or f"no {w.object} detected") for w in words]
        yield "confirmed", [f"{word} ({why})" for status, word, why in named if status == "confirmed"]
        yield "not confirmed", [f"{word} ({why})" for status, word, why in named if status == "unconfirmed"]
    if one.objects is not None:
        yield "objects", [f"{found.label} {found.score:.2f}" for found in one.objects.objects] or ["none"]
    for place, similar in (("index", one.similar), ("source", one.found)):
        if similar is not None:
            for kind in ("meaning", "look"):
                yield f"{place}: {kind}", [_similar(hit) for hit in getattr(similar, kind)]
    if one.recommendations is not None:
        yield "recommended", [f"{r.rank}. {r.caption} ({r.similarity:.4f})" for r in one.recommendations]


def _scores(one: Any, numbers: Any) -> str:
    return ", ".join(f"{one.objects.objects[n].label} {one.objects.objects[n].score:.2f}" for n in numbers)


def _similar(hit: Any) -> str:
    about = hit.caption or hit.credit
    return f"meaning {hit.semantic:.3f}  look {hit.visual:.3f}  {hit.page or hit.path}" + (
        f"  {about}" if about else ""
    )
