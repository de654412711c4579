"""Asks on dev whether the agreement with a detector helps to choose captions.

    python -m tools.grounded_reranking CANDIDATES.jsonl [--decode RUN [--set KEY=VALUE]]

``--decode`` writes the candidates first: the hypotheses of a beam search of 10 and 60 samples of every dev image, with
their log probability and their score in MBR reranking. The candidates of an image are then ranked by

    score + s · (w · confirmed - v · unconfirmed)

where the score is that of MBR or the log probability by length^0.7, s the mean standard deviation of the scores of an
image's candidates, and the counts are of classes that a caption names and the detector does or does not find. Scores
are against the references alone, so the detector does not judge itself. The table
``results/flickr8k/grounding/rerank_dev.csv`` has every combination, with the paired bootstrap against w = v = 0.

As the best of many combinations looks better than it is, the last lines choose the one with the best CIDEr on every
second image, and measure it on the others (``images`` 500).
"""

import argparse
import csv
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from capsmith.core.files import atomic
from capsmith.metrics import Score, Scorer
from capsmith.metrics.grounding import objects_of
from capsmith.metrics.grounding.detections import read_detections
from capsmith.metrics.scores import compare
from tools import paths
from tools.hallucination import DETECTIONS, FOLDER

TABLE = FOLDER / "rerank_dev.csv"
THRESHOLDS, WEIGHTS = (0.3, 0.4, 0.5), (0.0, 0.1, 0.25, 0.5, 1.0)
METRICS = ("cider", "bleu4", "chair_i", "chair_s")
SEARCH = {
    "type": "beam",
    "beam_size": 10,
    "rerank": {"type": "mbr", "samples": 60, "knn_weight": 24.0, "log_prob_weight": 1.0},
}
BATCH = 50
COMMAND = "python -m tools.grounded_reranking CANDIDATES.jsonl"


def decode(run: str, overrides: Sequence[str], out: Path) -> None:
    """Writes the candidates of every dev image and its references."""
    from capsmith.data.prepare import prepare, read_corpus
    from capsmith.models.captioner import Captioner
    from capsmith.models.ensemble_run import find_runs

    runs = find_runs(run, overrides)
    configs = runs.configs()
    captioner = Captioner.load_members(runs.runs, configs, encoder=False)
    corpus, config = read_corpus(configs[0].data, configs[0].features), configs[0]
    prepared = prepare(corpus, config.encoders, config.features, ("dev",))
    records, search = prepared.split("dev"), captioner.chosen(None, SEARCH)
    with atomic(out) as file:
        for start in range(0, len(records), BATCH):
            batch = records[start : start + BATCH]
            features = captioner.stored_features([prepared.source], [record.image_id for record in batch])
            for record, best in zip(batch, captioner.search(features, search), strict=True):
                found = [(one.text, one.score, one.log_probability) for one in (best, *best.alternatives)]
                line = {"image": record.image_id, "candidates": found, "references": list(record.captions)}
                file.write(json.dumps(line) + "\n")


@dataclass(frozen=True)
class Pool:
    """The candidates of one image: texts, scores by kind, and counts of classes by threshold."""

    image: str
    texts: tuple[str, ...]
    scores: dict[str, np.ndarray]
    confirmed: dict[float, np.ndarray]
    unconfirmed: dict[float, np.ndarray]


def pools(lines: Sequence[Mapping[str, Any]], detections: Path) -> list[Pool]:
    """Counts confirmed and unconfirmed classes of all candidates."""
    found = {t: read_detections(detections, t).of([line["image"] for line in lines]) for t in THRESHOLDS}
    result = []
    for number, line in enumerate(lines):
        texts, mbr, log_probs = zip(*line["candidates"], strict=True)
        named = [[one.labels for one in objects_of(text)] for text in texts]
        shown = {t: found[t][number] or frozenset() for t in THRESHOLDS}
        confirmed = {t: _count(named, shown[t], missing=False) for t in THRESHOLDS}
        unconfirmed = {t: _count(named, shown[t], missing=True) for t in THRESHOLDS}
        words = np.array([len(text.split()) for text in texts])
        scores = {"mbr": np.array(mbr), "log_prob": np.array(log_probs) / np.maximum(words, 1) ** 0.7}
        result.append(Pool(line["image"], texts, scores, confirmed, unconfirmed))
    return result


def _count(named: Sequence[Sequence[tuple[str, ...]]], shown: frozenset[str], missing: bool) -> np.ndarray:
    return np.array([len({labels for labels in group if shown.isdisjoint(labels) == missing}) for group in named])


def chosen(all_pools: Sequence[Pool], kind: str, threshold: float, w: float, v: float) -> dict[str, str]:
    """Returns the caption of each image that a combination puts first."""
    scale = float(np.mean([pool.scores[kind].std() for pool in all_pools]))
    captions = {}
    for pool in all_pools:
        agreement = w * pool.confirmed[threshold] - v * pool.unconfirmed[threshold]
        captions[pool.image] = pool.texts[int(np.argmax(pool.scores[kind] + scale * agreement))]
    return captions


def line(
    kind: str, settings: tuple[float, float, float], scores: Mapping[str, Score], base: Mapping[str, Score]
) -> Any:
    """Returns a line of the table."""
    threshold, w, v = settings
    values = {"score": kind, "threshold": threshold, "confirmed": w, "unconfirmed": v}
    values |= {"images": len(scores["cider"].per_image)}
    values |= {name: f"{scores[name].value:.4f}" for name in METRICS}
    for name in ("cider", "chair_i"):
        test = compare(scores[name], base[name])
        values |= {f"{name}_gain": f"{test.difference:+.4f}", f"{name}_p": f"{test.p_value:.3f}"}
    return values


def sweep(all_pools: Sequence[Pool], references: Mapping[str, Sequence[str]]) -> Iterator[dict[str, Any]]:
    """Yields the lines of all combinations, and those of the halves."""
    scorers = [
        Scorer({image: references[image] for image in list(references)[part]}, METRICS)
        for part in (slice(None), slice(0, None, 2), slice(1, None, 2))
    ]
    for kind in ("mbr", "log_prob"):
        base, scored = chosen(all_pools, kind, THRESHOLDS[0], 0, 0), {}
        bases = [scorer.score({image: base[image] for image in scorer.ids}) for scorer in scorers]
        yield line(kind, (THRESHOLDS[0], 0, 0), bases[0], bases[0])
        for settings in itertools.product(THRESHOLDS, WEIGHTS, WEIGHTS):
            if any(settings[1:]):
                captions = chosen(all_pools, kind, *settings)
                scored[settings] = [
                    scorer.score({image: captions[image] for image in scorer.ids}) for scorer in scorers
                ]
                yield line(kind, settings, scored[settings][0], bases[0])
        for choosing, measuring in ((1, 2), (2, 1)):
            best = max(scored, key=lambda settings: scored[settings][choosing]["cider"].value)
            yield line(kind, best, scored[best][measuring], bases[measuring])


def figures(table: Sequence[Mapping[str, Any]]) -> paths.Summary:
    """Returns the gains of the combination with MBR whose CIDEr on dev is best."""
    best = max((one for one in table if one["score"] == "mbr" and one["images"] == max_images(table)), key=_cider)
    how = f"starter_scst on dev, MBR, threshold {best['threshold']}, w {best['confirmed']}, v {best['unconfirmed']}"
    values = {
        "grounding.rerank_cider_gain": ("cider", "CIDEr"),
        "grounding.rerank_hallucination_gain": ("chair_i", "CHAIRi, by references alone; negative is better"),
    }
    return {
        name: {
            "value": float(best[f"{metric}_gain"]),
            "unit": "",
            "command": COMMAND,
            "seeds": 1,
            "note": f"reranking by agreement with the detector, {title}: {how}; p {best[f'{metric}_p']}",
        }
        for name, (metric, title) in values.items()
    }


def max_images(table: Sequence[Mapping[str, Any]]) -> int:
    """Returns the number of images of the lines that measure all."""
    return max(one["images"] for one in table)


def _cider(one: Mapping[str, Any]) -> float:
    return float(one["cider"])


def main() -> None:
    """Decodes on request, sweeps and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("candidates", type=Path)
    parser.add_argument("--decode", metavar="RUN", help="write the candidates of this run first")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="with --decode")
    args = parser.parse_args()
    if args.decode is not None:
        decode(args.decode, args.set, args.candidates)
    lines = [json.loads(text) for text in args.candidates.read_text(encoding="utf-8").splitlines()]
    references = {one["image"]: one["references"] for one in lines}
    table = list(sweep(pools(lines, Path(str(DETECTIONS).format(split="dev"))), references))
    with atomic(TABLE) as file:
        writer = csv.DictWriter(file, list(table[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
    paths.write_summary(paths.read_summary() | figures(table))


if __name__ == "__main__":
    main()
