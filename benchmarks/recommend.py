"""Measures recommendation: how often a photograph's own caption is among the five that are recommended for it.

    python -m benchmarks.recommend RUN [RUN …] --split dev --sweep
    python -m benchmarks.recommend RUN [RUN …] --split test

The library of an image is one of its captions and all captions of the other images: on Flickr8k 1 of 5,000 − 4 (five
captions an image). Every caption of an image has its turn, and recall is the mean over images and captions. A caption
that another person wrote for another image may fit as well, so recall cannot come near 1.

Popularity is measured against the training images. Features are read from the store of the run's config. A reading of
``test`` is recorded in ``test_readings.jsonl`` of the runs before any of its figures are shown.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from capsmith import __version__
from capsmith.core.errors import CapsmithError
from capsmith.core.files import write_json
from capsmith.data.prepare import read_corpus
from capsmith.deploy.recommend.recommender import CORRECTION
from capsmith.evaluation import readings
from capsmith.evaluation.retrieval.evaluate import split_vectors
from capsmith.metrics.scores import Floats, Score
from capsmith.models.embedders import run_embedder
from capsmith.retrieval.popularity import CORRECTIONS, NEIGHBOURS, TEMPERATURE, Popularity, corrected, popularity

AT = (1, 5, 10)
SWEEP_NEIGHBOURS = (1, 5, 10, 20, 50)
SWEEP_TEMPERATURES = (0.03, 0.05, 0.07, 0.1, 0.15)


def own_caption_ranks(scores: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Returns the rank of each caption for its image, among itself and the captions of other images.

    Args:
        scores: Scores of N images and C captions (N, C).
        owner: The image of each caption (C,).

    Returns:
        Ranks (C,), from 1; a tie counts against the caption.
    """
    ranks = np.empty(len(owner), np.int64)
    for image, row in enumerate(scores):
        own = owner == image
        others = np.sort(row[~own])
        ranks[own] = 1 + len(others) - np.searchsorted(others, row[own], side="left")
    return ranks


def recall_scores(ranks: np.ndarray, owner: np.ndarray, ids: Sequence[str], correction: str) -> dict[str, Score]:
    """Returns recall at 1, 5 and 10, with intervals over images.

    Args:
        ranks: From ``own_caption_ranks``.
        owner: The image of each caption (C,).
        ids: The images (N).
        correction: How scores were corrected, for the signature.
    """
    total = np.bincount(owner, minlength=len(ids)).astype(np.float64)
    found = {}
    for k in AT:
        hits = np.bincount(owner, weights=ranks <= k, minlength=len(ids))
        signature = f"r{k}|own:1|others:{len(owner) - round(total.mean())}|correction:{correction}|ties:against"
        found[f"r{k}"] = Score(
            f"r{k}",
            float(hits.sum() / total.sum()),
            dict(zip(ids, (hits / total).tolist(), strict=True)),
            f"{signature}|images:{len(ids)}|capsmith:{__version__}",
            np.stack([hits, total], axis=1),
            _ratio,
        )
    return found


def swept(texts: np.ndarray, bank: np.ndarray) -> Iterator[tuple[str, str, Popularity]]:
    """Yields the parameters of each correction: a name, the correction, and the popularity of the texts."""
    for count in SWEEP_NEIGHBOURS:
        yield f"csls, {count} neighbours", "csls", popularity(texts, bank, neighbours=count)
    for temperature in SWEEP_TEMPERATURES:
        yield f"inverted softmax, T {temperature}", "inverted_softmax", popularity(texts, bank, temperature=temperature)


def _ratio(summed: Floats) -> Floats:
    ratio: Floats = summed[..., 0] / np.maximum(summed[..., 1], 1)
    return ratio


def main() -> None:
    """Prints the recall of each correction, and writes it on request."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--split", choices=("dev", "test"), required=True)
    parser.add_argument("--sweep", action="store_true", help="also try parameters of the corrections; not on test")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="such as features.cache=…")
    parser.add_argument("--out", type=Path, metavar="FILE.json")
    args = parser.parse_args()
    if args.sweep and args.split == "test":
        parser.error("--sweep chooses parameters, which dev does")
    try:
        found = _measured(args)
    except CapsmithError as error:
        sys.exit(str(error))
    for name, scores in found.items():
        print(f"{name:30} {'  '.join(map(_shown, scores.values()))}")
    print(found[CORRECTION]["r5"].signature)
    if args.out is not None:
        write_json(args.out, {name: {k: one.as_dict() for k, one in scores.items()} for name, scores in found.items()})


def _shown(score: Score) -> str:
    low, high = score.interval or (score.value, score.value)
    return f"{score.name} {score.value:.4f} [{low:.3f}, {high:.3f}]"


def _measured(args: argparse.Namespace) -> dict[str, dict[str, Score]]:
    """Returns the scores of each correction on the split."""
    embedder = run_embedder(args.runs, args.set)
    if embedder.bank is None:
        raise CapsmithError("the runs were trained on different images, so there is no bank")
    paths = [member.run.path for member in embedder.members]
    evaluated = readings.sources(paths)
    corpus = read_corpus(embedder.config.data, embedder.config.features)
    images, texts, owner, records = split_vectors(embedder, corpus, args.split)
    cosines, ids = images @ texts.T, [record.image_id for record in records]
    measured = popularity(texts, embedder.bank)
    cases = [(correction, correction, measured) for correction in CORRECTIONS]
    cases += [*swept(texts, embedder.bank)] if args.sweep else []
    found, ranks = {}, {}
    for name, correction, texts_popularity in cases:
        ranks[name] = own_caption_ranks(corrected(cosines, correction, texts_popularity), owner)  # type: ignore[arg-type]
        found[name] = recall_scores(ranks[name], owner, ids, correction)
    if args.split == "test":
        _record(found, ranks[CORRECTION], evaluated, paths, embedder.config.data.type)
    return found


def _record(
    found: dict[str, dict[str, Score]],
    ranks: np.ndarray,
    evaluated: list[dict[str, str]],
    paths: list[Path],
    dataset: str,
) -> None:
    """Records the reading of test in the runs."""
    entry = readings.reading(
        {f"{name}_{k}": score for name, scores in found.items() for k, score in scores.items()},
        runs=evaluated,
        averaged=False,
        decoding={"type": "recommend", "neighbours": NEIGHBOURS, "temperature": TEMPERATURE},
        dataset=dataset,
        images=len(next(iter(found.values()))["r5"].per_image),
        predictions=json.dumps(ranks.tolist()),
        report=paths[0],
    )
    for note in readings.record(entry, paths, paths[0]):
        print(note, file=sys.stderr)


if __name__ == "__main__":
    main()
