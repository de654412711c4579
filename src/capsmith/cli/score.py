"""``capsmith score``."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from capsmith.cli.options import add_plugin


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    formats = "JSON lines, COCO or Karpathy JSON, CSV, a Flickr8k token file, or one caption per line"
    parser.add_argument("--hypotheses", type=Path, required=True, metavar="FILE", help=f"captions to score: {formats}")
    parser.add_argument(
        "--references", type=Path, required=True, nargs="+", metavar="FILE", help="references, in the same formats"
    )
    parser.add_argument(
        "--metrics",
        default="bleu,rouge,cider",
        metavar="LIST",
        help="from bleu, rouge, cider, cider_d, cider_plain, meteor, spice, hallucination; default: %(default)s",
    )
    parser.add_argument("--tokeniser", default="coco", metavar="NAME", help="coco (default), simple, char or none")
    parser.add_argument("--split", metavar="NAME", help="use the references of this split, if the file has splits")
    parser.add_argument("--subset", action="store_true", help="score only the images that have a caption")
    parser.add_argument(
        "--compare", type=Path, metavar="FILE", help="other captions of the same images: test whether the scores differ"
    )
    parser.add_argument("--human", action="store_true", help="also score each reference against the others")
    parser.add_argument("--diversity", action="store_true", help="also measure vocabulary, repetition and novelty")
    parser.add_argument(
        "--train",
        type=Path,
        metavar="FILE",
        help="training captions, for novelty in --diversity: the train split, if the file has splits",
    )
    parser.add_argument("--cider-df", type=Path, metavar="FILE", help="references for cider_d's document frequencies")
    parser.add_argument("--cider-end", action="store_true", help="count the end of a caption as a token in cider_d")
    parser.add_argument(
        "--detections",
        type=Path,
        metavar="FILE",
        help="objects that a detector found, for hallucination: lines of capsmith detect --json, or COCO JSON",
    )
    parser.add_argument(
        "--detection-threshold", type=float, default=0.0, metavar="P", help="their least confidence; default: all"
    )
    parser.add_argument("--explain", metavar="IMAGE_ID", help="show the n-grams that determine the score of one image")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--per-image", action="store_true", help="with --json: the scores of every image")
    add_plugin(parser)


def run(args: argparse.Namespace) -> None:
    """Reads and scores captions, and prints the scores."""
    from capsmith.core.terminal import print_error, print_json, print_text, require_output
    from capsmith.metrics import files
    from capsmith.metrics.grounding.detections import read_detections
    from capsmith.metrics.scorer import JAVA, Scorer

    require_output("scores")
    references = files.read_references(args.references, args.split)
    hypotheses = {path: files.read_hypotheses(path) for path in (args.hypotheses, args.compare) if path is not None}
    captions = {path: files.align(file, references) for path, file in hypotheses.items()}
    for note in [*references.notes, *(note for file in hypotheses.values() for note in file.notes)]:
        print_error(f"note: {note}")
    scored = references.captions
    if args.subset:
        scored = {key: group for key, group in scored.items() if key in captions[args.hypotheses]}
        print_error(f"note: {len(scored)} of {len(references.captions)} images have a caption")
    frequencies = None if args.cider_df is None else files.read_training(args.cider_df).captions
    scorer = Scorer(
        scored,
        [name.strip() for name in args.metrics.split(",") if name.strip()],
        args.tokeniser,
        frequencies,
        "" if args.cider_df is None else args.cider_df.stem,
        args.cider_end,
        None if args.detections is None else read_detections(args.detections, args.detection_threshold),
    )
    quick = [name for name in scorer.names if name not in JAVA]
    if args.human and not quick:
        args.human = False
        print_error("note: --human does not score METEOR and SPICE, and no other metric was chosen")
    result, parts = _results(args, scorer, captions, quick)
    if args.json:
        print_json(result, indent=2)
    else:
        print_text("\n\n".join(parts))


def _results(
    args: argparse.Namespace, scorer: Any, captions: dict[Path, dict[str, str]], quick: list[str]
) -> tuple[dict[str, Any], list[str]]:
    """Returns the requested results as an object for JSON and as text."""
    from capsmith.metrics import scores, table
    from capsmith.metrics.explain import explain

    first = captions[args.hypotheses]
    scored = scorer.score(first)
    result: dict[str, Any] = {"hypotheses": str(args.hypotheses), "references": [str(p) for p in args.references]}
    result["scores"] = {name: score.as_dict(args.per_image) for name, score in scored.items()}
    parts = []
    if args.compare is None:
        parts.append("" if args.json else table.table(scored))
    else:
        other = scorer.score(captions[args.compare])
        result["compare"] = {
            "hypotheses": str(args.compare),
            "scores": {name: score.as_dict(args.per_image) for name, score in other.items()},
            "tests": {name: scores.compare(other[name], scored[name]).__dict__ for name in scored},
        }
        names = unique_names([args.hypotheses, args.compare])
        parts.append("" if args.json else table.comparison(scored, other, (names[0], names[1])))
    if args.human:
        rows, mine = _human(scorer, quick), {name: scored[name] for name in quick}
        result["human"] = {name: [row[name].value for row in rows] for name in quick}
        parts.append("" if args.json else table.human_row(rows, mine))
    if args.diversity:
        measured = _diversity(args, scorer, captions)
        result["diversity"] = {name: statistics.as_dict() for name, statistics in measured.items()}
        parts.append(table.behaviour(measured))
    if args.explain is not None:
        explanation = explain(scorer, first, args.explain)
        result["explain"] = explanation.as_dict()
        parts.append(str(explanation))
    return result, parts


def _human(scorer: Any, names: list[str]) -> Any:
    from capsmith.metrics.human import human_rows

    all_names, scorer.names = scorer.names, names
    try:
        return human_rows(scorer)
    finally:
        scorer.names = all_names


def _diversity(args: argparse.Namespace, scorer: Any, captions: dict[Path, dict[str, str]]) -> Any:
    from capsmith.metrics.diversity import diversity
    from capsmith.metrics.files import read_training

    training = None
    if args.train is not None:
        training_captions = read_training(args.train).captions
        training = [scorer.tokeniser(caption) for group in training_captions.values() for caption in group]
    names = unique_names([*captions])
    sets = {name: scorer.tokenise(group) for name, group in zip(names, captions.values(), strict=True)}
    sets["people (reference 1)"] = [group[0] for group in scorer.tokens]
    return {name: diversity(tokens, training) for name, tokens in sets.items()}


def unique_names(paths: Sequence[Path]) -> list[str]:
    """Returns the names of files, each with as many parent folders as make it unique."""
    for parts in range(1, max(len(path.parts) for path in paths)):
        names = ["/".join(path.parts[-parts:]) for path in paths]
        if len(set(names)) == len(set(paths)):
            return names
    return [str(path) for path in paths]
