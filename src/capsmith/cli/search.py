"""``capsmith search``."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from capsmith.cli.options import add_plugin

_SHOWN = 3  # duplicates that a line names


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    parser.add_argument("index", type=Path, metavar="INDEX", help="an index that capsmith index made")
    query = parser.add_argument_group("what to search").add_mutually_exclusive_group(required=True)
    query.add_argument("--text", metavar="PHRASE", help="images that a phrase describes")
    query.add_argument("--image", type=Path, metavar="FILE", help="images that are like this one")
    query.add_argument("--like", metavar="NAME", help="images that are like this one of the index")
    query.add_argument("--words", metavar="WORDS", help="images whose captions contain words (index --captions)")
    parser.add_argument("--top", type=int, default=9, metavar="N", help="images to return at most (default 9)")
    parser.add_argument("--threshold", type=float, metavar="T", help="least score of an image")
    parser.add_argument(
        "--by",
        choices=("visual", "semantic", "both"),
        default="visual",
        help="what ranks images that are like another one: how they look (the default), what they mean, or the mean "
        "of both",
    )
    parser.add_argument(
        "--keep-duplicates", action="store_true", help="list near-duplicates one by one; by default they are one hit"
    )
    parser.add_argument("--show", type=Path, metavar="OUT.png", help="draw the images with their scores")
    parser.add_argument("--json", action="store_true", help="print one JSON line per image")
    parser.add_argument(
        "--model", type=Path, action="append", metavar="RUN", help="the model, if it was moved; repeat for an ensemble"
    )
    parser.add_argument("--engine", metavar="clip:MODEL", help="the CLIP model, if it was moved")
    add_plugin(parser)


def run(args: argparse.Namespace) -> int:
    """Prints the images that are found, best first."""
    import math

    from capsmith.core.errors import ConfigError
    from capsmith.core.terminal import print_error, require_output
    from capsmith.deploy.search.image_index import MOST, ImageIndex

    if not 1 <= args.top <= MOST:
        raise ConfigError(f"--top {args.top}: a number from 1 to {MOST:,}")
    if args.threshold is not None and not math.isfinite(args.threshold):
        raise ConfigError(f"--threshold {args.threshold}: a number, such as 0.25")
    if args.by != "visual" and not (args.image or args.like):
        raise ConfigError(f"--by {args.by} ranks images that are like another one: it needs --image or --like")
    if not args.show:
        require_output("images")
    _require_output_file(args)
    with ImageIndex.open(args.index, _embedder(args)) as index:
        hits = _hits(args, index)
        if not hits:
            print_error(_nothing(args, index))
        _print(args, index, hits)
        if args.show and hits:
            from capsmith.deploy.search.sheet import draw_hits

            draw_hits(_title(args), _query_image(args, index), hits, index, args.show)
    return 0


def _embedder(args: argparse.Namespace) -> Any:
    """Returns the model of the index if the query needs one."""
    if args.words is not None or args.like is not None:
        return None
    from capsmith.cli.keras_import import load_keras
    from capsmith.deploy.search.model import model_of_index

    if args.image is not None:
        from capsmith.vision.images import load_image

        load_image(args.image, (16, 16))  # a damaged image is reported before Keras is loaded
    embedder = model_of_index(args.index, args.model, args.engine)
    if args.image is not None:
        load_keras()
    return embedder


def _hits(args: argparse.Namespace, index: Any) -> Sequence[Any]:
    from capsmith.core.errors import ConfigError
    from capsmith.core.terminal import print_error
    from capsmith.deploy.search.words import words_of

    common = {"top": args.top, "threshold": args.threshold, "fold": not args.keep_duplicates}
    if args.image is not None:
        return index.search_image(args.image, by=args.by, **common)
    if args.like is not None:
        return index.more_like(index.find(args.like), by=args.by, **common)
    option, text = ("--text", args.text) if args.words is None else ("--words", args.words)
    words = words_of(text)
    if not words:
        raise ConfigError(f"{option} {text!r:.60} has no words")
    if args.words is not None:
        if not index.captioned():
            raise ConfigError(f"{args.index} has no captions: capsmith index … --out {args.index} --captions MODEL")
        unknown, where = index.unknown_caption_words(text), "no caption has"
    else:
        unknown, where = index.embedder.unknown_words(text), "the model does not know"
    unknown = list(dict.fromkeys(unknown))
    if len(unknown) >= len(set(words)):
        raise ConfigError(f"{option} {text!r:.200}: {where} any of its words")
    if unknown:
        print_error(f"note: {where}: {', '.join(unknown)}")
    return index.search_words(text, **common) if args.words is not None else index.search_text(text, **common)


def _print(args: argparse.Namespace, index: Any, hits: Sequence[Any]) -> None:
    from capsmith.core.terminal import print_json, print_line

    paths = [index.path(hit.id) for hit in hits]  # all of them before the first line
    for rank, (hit, path) in enumerate(zip(hits, paths, strict=True), start=1):
        if args.json:
            values = hit.as_dict()
            print_json({"rank": rank, "image": str(path), **values})
            continue
        scores = [f"{name} {value:.3f}" for name, value in hit.scores().items()]
        more = [hit.caption] if hit.caption else []
        if hit.duplicates:
            names = ", ".join(hit.duplicates[:_SHOWN]) + (", …" if len(hit.duplicates) > _SHOWN else "")
            more.append(f"also {names}")
        print_line(*scores, path, *more)


def _nothing(args: argparse.Namespace, index: Any) -> str:
    if not len(index):
        return f"note: {args.index} has no images"
    least = "" if args.threshold is None else f" with a score of at least {args.threshold:g}"
    return f"note: no image{least}"


def _title(args: argparse.Namespace) -> str:
    if args.image is not None:
        return f"like {args.image.name}"
    return f"like {args.like}" if args.like is not None else str(args.text or args.words)


def _query_image(args: argparse.Namespace, index: Any) -> Path | None:
    if args.like is not None:
        path: Path = index.path(index.find(args.like))
        return path
    image: Path | None = args.image
    return image


def _require_output_file(args: argparse.Namespace) -> None:
    """Checks that the sheet may be written, before any work is done."""
    if args.show is None:
        return
    from capsmith.core.outputs import require_image_name, require_replaceable
    from capsmith.vision.image_marks import is_marked

    require_image_name(args.show, "--show")
    require_replaceable(args.show, is_marked("hits"), "--show", [args.image] if args.image else [])
