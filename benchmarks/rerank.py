"""Chooses the weights of MBR reranking on dev, with and without a joint embedding as judge.

    python -m benchmarks.rerank RUN [RUN …] [--average] --embedding RUN [--set …] [--trials 500] --write CSV

Every image is searched once; the candidates are the hypotheses of the search and the samples of its reranker. Every
part of the score of every candidate, and its CIDEr and BLEU counts, are computed once too, so a setting costs
milliseconds. Settings are drawn at random for each set of judges. The best of each are compared by their mean CIDEr
under random changes of their weights by a quarter, which a lucky setting does not survive. ``halves`` is that choice
made on one half of the images and read on the other. The run must have the embedding's copy and the vectors of the
captions: evaluate it once with ``caption_weight``.

N images · C candidates at most · k neighbours.
"""

import argparse
import csv
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from capsmith.data.prepare import prepare, read_corpus
from capsmith.data.text.tokens import detokenise
from capsmith.decoding.rerank.mbr import softmax
from capsmith.decoding.search import search
from capsmith.metrics import Scorer
from capsmith.metrics.bleu import bleu_from_counts
from capsmith.metrics.utility import pairwise_utility
from capsmith.models.captioner import Captioner
from capsmith.models.ensemble_run import find_runs
from capsmith.models.feature_captioner import parts_of

NEIGHBOURS, CAPTIONS, SEMANTIC = 60, 100, (0.0, 0.35, 1.0)  # at most; weights of semantic similarity
JUDGES = ("neighbours, concepts", "neighbours, embedding", "neighbours, embedding, captions", "all")
TOP, PERTURBED = 60, 16
Setting = dict[str, Any]


@dataclass
class Parts:
    """The parts of the scores of all candidates, (N, C) with ``-inf`` in ``missing`` where an image has fewer."""

    missing: np.ndarray
    log_probability: np.ndarray
    length: np.ndarray
    utility: np.ndarray
    concepts: np.ndarray
    similarity: np.ndarray
    neighbours: dict[float, tuple[np.ndarray, np.ndarray]]  # utility (N, C, k) and similarity (N, k)
    captions: tuple[np.ndarray, np.ndarray]
    cider: np.ndarray
    bleu: np.ndarray
    cached: dict[Any, np.ndarray] = field(default_factory=dict)

    def weighted(
        self, which: Any, table: tuple[np.ndarray, np.ndarray], k: int, temperature: float | None
    ) -> np.ndarray:
        """Returns the mean utility against k neighbours (N, C), computed once."""
        key = (which, k, temperature)
        if key not in self.cached:
            weights = np.array([softmax(row[:k], temperature) for row in table[1]])
            self.cached[key] = np.einsum("nck,nk->nc", table[0][:, :, :k], weights)
        return self.cached[key]

    def chosen(self, s: Setting) -> np.ndarray:
        """Returns the candidate that a setting chooses for each image (N,)."""
        total = s["log_prob_weight"] * self.log_probability / self.length ** s["length_penalty"] + self.missing
        total = total + s["utility_weight"] * self.utility + s["concept_weight"] * self.concepts
        total += s["embedding_weight"] * self.similarity
        if s["knn_weight"]:
            semantic = s["semantic_weight"]
            near = self.weighted(semantic, self.neighbours[semantic], s["neighbours"], s["knn_temperature"])
            total += s["knn_weight"] * near
        if s["caption_weight"]:
            near = self.weighted("captions", self.captions, s["caption_neighbours"], s["caption_temperature"])
            total += s["caption_weight"] * near
        best: np.ndarray = total.argmax(axis=1)
        return best

    def ciders(self, s: Setting) -> np.ndarray:
        """Returns the CIDEr of each image's chosen caption (N,)."""
        chosen: np.ndarray = self.cider[np.arange(len(self.cider)), self.chosen(s)]
        return chosen

    def bleu4(self, s: Setting) -> float:
        """Returns the BLEU-4 of the chosen captions."""
        return float(bleu_from_counts(self.bleu[np.arange(len(self.bleu)), self.chosen(s)].sum(axis=0), 4))


def main() -> None:
    """Prints the choice for each set of judges, and writes the sweep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--average", action="store_true", help="average the weights of the runs")
    parser.add_argument("--embedding", required=True, type=Path, metavar="RUN")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--split", default="dev", choices=("train", "dev"))
    parser.add_argument("--images", type=int, help="only the first ones")
    parser.add_argument("--trials", type=int, default=500, help="settings for each set of judges")
    parser.add_argument("--write", required=True, type=Path, metavar="CSV")
    args = parser.parse_args()
    runs = find_runs(args.runs if len(args.runs) > 1 else args.runs[0], args.set, args.average)
    captioner = Captioner.load_members(runs.runs, runs.configs(), encoder=False, average=runs.average)
    parts = parts_of_split(captioner, args.embedding, args.split, args.images)
    rows: list[Setting] = []
    for judges in JUDGES:
        rows += sweep(parts, judges, args.trials)
        best = rows[-TOP] if len(rows) >= TOP else rows[0]
        print(f"{judges}: " + ", ".join(f"{name} {value}" for name, value in best.items() if name != "judges"))
    with args.write.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def sweep(parts: Parts, judges: str, trials: int) -> list[Setting]:
    """Returns the best settings of one set of judges, best first, with their scores."""
    rng = np.random.default_rng(7)
    settings = [drawn(rng, judges) for _ in range(trials)]
    plain = np.array([parts.ciders(setting).mean() for setting in settings])
    found = []
    for number in np.argsort(-plain)[:TOP]:
        changed = [parts.ciders(perturbed(rng, settings[number])) for _ in range(PERTURBED)]
        found.append((np.mean(changed, axis=0), settings[number]))
    found.sort(key=lambda one: -one[0].mean())
    even = np.arange(len(parts.cider)) % 2 == 0
    halves = np.mean([max(found, key=lambda one, h=half: one[0][h].mean())[0][~half].mean() for half in (even, ~even)])
    return [
        {
            "judges": judges,
            "cider": round(float(parts.ciders(setting).mean()), 5),
            "cider_perturbed": round(float(ciders.mean()), 5),
            "bleu4": round(parts.bleu4(setting), 5),
            "halves": round(float(halves), 5),
            **setting,
        }
        for ciders, setting in found
    ]


def drawn(rng: np.random.Generator, judges: str) -> Setting:
    """Returns random settings; judges that are left out have weight 0."""
    concepts, embedding = judges in (JUDGES[0], "all"), judges != JUDGES[0]
    captions = judges in (JUDGES[2], "all")
    pick = _picker(rng)
    return {
        "log_prob_weight": pick(0.0, 0.3, 0.5, 1.0, 2.0),
        "length_penalty": pick(0.5, 0.7, 1.0),
        "utility_weight": pick(0.0, 0.5, 1.0, 2.0),
        "neighbours": pick(20, 30, 60),
        "knn_weight": pick(0.0, 4.0, 8.0, 12.0, 16.0, 24.0),
        "knn_temperature": pick(None, 0.15, 0.08),
        "semantic_weight": pick(*SEMANTIC),
        "concept_weight": pick(0.0, 3.0, 5.0, 7.0, 10.0, 14.0) if concepts else 0.0,
        "embedding_weight": pick(2.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0) if embedding else 0.0,
        "caption_weight": pick(2.0, 4.0, 8.0, 12.0, 16.0, 24.0) if captions else 0.0,
        "caption_neighbours": pick(20, 50, 100),
        "caption_temperature": pick(None, 0.1, 0.05),
    }


def _picker(rng: np.random.Generator) -> Callable[..., Any]:
    return lambda *values: values[int(rng.integers(len(values)))]


def perturbed(rng: np.random.Generator, setting: Setting) -> Setting:
    """Returns a setting with its weights changed by about a quarter."""
    return {
        k: v * np.exp(rng.normal(0, 0.25)) if k.endswith("_weight") and k != "semantic_weight" else v
        for k, v in setting.items()
    }


# --- the candidates ---------------------------------------------------------------------------------------------------


def parts_of_split(captioner: Captioner, embedding: Path, split: str, images: int | None) -> Parts:
    """Searches the images of a split, and computes all parts of the scores of their candidates."""
    config = captioner.config
    corpus = read_corpus(config.data, config.features)
    prepared = [prepare(corpus, m.config.encoders, m.config.features, (split,), m.encoder) for m in captioner.members]
    records = prepared[0].split(split)[:images]
    ids = [record.image_id for record in records]
    rows = []
    size = captioner.batch_size(config.decoding, 64)
    for first in range(0, len(ids), size):
        features = captioner.stored_features([one.source for one in prepared], ids[first : first + size])
        pools = search(captioner.stepper, features, config.decoding, captioner.wishes(config.decoding))
        rows += [image_parts(captioner, embedding, *one) for one in zip(pools, parts_of(features)[0], strict=True)]
        print(f"{len(rows)} of {len(ids)} images", flush=True)
    table = {name: _padded([row[name] for row in rows], fill) for name, fill in FILLS.items()}
    near = {weight: _tables([row["near"][weight] for row in rows], table["missing"]) for weight in SEMANTIC}
    captions = _tables([row["captions"] for row in rows], table["missing"])
    references = {record.image_id: list(record.captions) for record in records}
    cider, bleu = quality([row["text"] for row in rows], references)
    return Parts(**table, neighbours=near, captions=captions, cider=cider, bleu=bleu)


FILLS = {"missing": -np.inf, "log_probability": 0, "length": 1, "utility": 0, "concepts": 0, "similarity": 0}


def image_parts(captioner: Captioner, embedding: Path, pool: Sequence[Any], features: np.ndarray) -> dict[str, Any]:
    """Returns the parts of the scores of the candidates of one image."""
    index, judge, one = captioner.caption_index, captioner.caption_judge(embedding), features[None]
    pool = [hypothesis for hypothesis in pool if hypothesis.ended] or list(pool)
    distinct = list({hypothesis.tokens: hypothesis for hypothesis in pool}.values())
    tokens = [hypothesis.tokens for hypothesis in distinct]
    evidence = [hypothesis.tokens for hypothesis in pool if hypothesis.drawn] or [h.tokens for h in pool]
    near = {}
    for weight in SEMANTIC:
        ((nearest,), (similarity,)) = index.nearest(one, NEIGHBOURS, weight)
        against = [pairwise_utility(tokens, index.captions[image], index.frequencies).mean(axis=1) for image in nearest]
        near[weight] = np.array(against).T, similarity
    (image,) = judge.images(one)
    captions = [caption for group in index.captions for caption in group]
    found, cosines = judge.nearest_captions(image, CAPTIONS)
    return {
        "missing": np.zeros(len(tokens)),
        "log_probability": np.array([hypothesis.log_probability for hypothesis in distinct]),
        "length": np.array([len(caption) + 1 for caption in tokens]),
        "utility": pairwise_utility(tokens, evidence, index.frequencies).mean(axis=1),
        "concepts": index.concepts.score(index.predict_concepts(one)[0], tokens),
        "similarity": judge.similarity(image, tokens),
        "near": near,
        "captions": (pairwise_utility(tokens, [captions[row] for row in found], index.frequencies), cosines),
        "text": [detokenise(captioner.vocabulary.decode(caption), captioner.config.text) for caption in tokens],
    }


def quality(texts: Sequence[Sequence[str]], references: dict[str, list[str]]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the CIDEr (N, C) and the BLEU counts (N, C, 10) of every candidate; the last one fills up."""
    scorer, count = Scorer(references, ["cider", "bleu"], "coco"), max(map(len, texts))
    cider, bleu = np.zeros((len(texts), count)), np.zeros((len(texts), count, 10))
    for place in range(count):
        own = {key: row[min(place, len(row) - 1)] for key, row in zip(references, texts, strict=True)}
        scores = scorer.score(own)
        cider[:, place], bleu[:, place] = scores["cider"].statistics[:, 0], scores["bleu4"].statistics
    return cider, bleu


def _padded(rows: Sequence[np.ndarray], fill: float) -> np.ndarray:
    width = max(map(len, rows))
    return np.array([np.concatenate([row, np.full(width - len(row), float(fill))]) for row in rows])


def _tables(rows: Sequence[tuple[np.ndarray, np.ndarray]], missing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    table = np.zeros((*missing.shape, rows[0][0].shape[1]), np.float32)
    for row, (utility, _) in enumerate(rows):
        table[row, : len(utility)] = utility
    return table, np.array([similarity for _, similarity in rows])


if __name__ == "__main__":
    main()
