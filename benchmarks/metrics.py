"""Measures the speed of scoring against pycocoevalcap in one run, and the distance from published scores.

    python -m benchmarks.metrics                                    # speed, on captions sampled from a Zipf law
    python -m benchmarks.metrics --captions Flickr8k.token.txt      # speed, on real captions
    python -m benchmarks.metrics --captions … --golden GOLDEN --java --write summary_part.json

GOLDEN is a folder with ``danieljl``, ``coco_fakecap`` and ``flickr8k_refs``. ``--java`` also runs METEOR, and the Java
tokeniser on all captions. Everything runs on one core.
"""

import argparse
import contextlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")

import numpy as np  # noqa: E402

from capsmith.core.files import write_json  # noqa: E402
from capsmith.metrics import CiderReward, Scorer, files, human, java, ptb, score, tokenisers  # noqa: E402
from capsmith.metrics.diversity import diversity  # noqa: E402

IMAGES, REFERENCES, BATCH, ROUNDS = 5000, 5, 80, 3
METRICS = ("bleu", "rouge", "cider_d")
KERAS_FILTER = str.maketrans(dict.fromkeys('!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n', " "))


def main() -> None:
    """Measures and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--captions", type=Path, help="real captions, in any format that capsmith score reads")
    parser.add_argument("--golden", type=Path, help="the folder with published captions and scores")
    parser.add_argument("--java", action="store_true", help="with METEOR and the Java tokeniser; minutes")
    parser.add_argument("--write", type=Path, help="write the figures to this JSON file")
    args = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    read = None if args.captions is None else files.read_captions(args.captions).captions
    figures = speed(*corpus(read))
    if args.golden is not None:
        figures |= golden(args.golden, read, args.java)
    for name, figure in figures.items():
        print(f"{name:34} {figure['value']:<12.6g} {figure['unit']:3} {figure['note']}")
    if args.write is not None:
        given = {"--captions": args.captions, "--golden": args.golden}
        words = [f"{option} {path}" for option, path in given.items() if path] + ["--java"] * args.java
        command = " ".join(["python -m benchmarks.metrics", *words])
        order = ("value", "unit", "command", "seeds", "note")
        rows = {name: {"command": command, "seeds": 1, **figure} for name, figure in figures.items()}
        write_json(args.write, {name: {key: row[key] for key in order} for name, row in rows.items()})


def figure(value: float, note: str, unit: str = "") -> dict[str, Any]:
    """Returns one entry of the summary."""
    return {"value": float(f"{value:.4g}"), "unit": unit, "note": note}


def corpus(real: dict[str, list[str]] | None) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Returns 5,000 hypotheses and five references of each: real captions, or words from a Zipf law.

    A hypothesis is a reference in which about every third word comes from another image.
    """
    generator = np.random.default_rng(0)
    if real is None:
        lengths = generator.integers(7, 17, IMAGES * REFERENCES)
        ranks = np.minimum(generator.zipf(1.3, lengths.sum()), 6000)
        words = np.char.add("w", ranks.astype(str))
        texts = [" ".join(part) for part in np.split(words, np.cumsum(lengths)[:-1])]
        groups = [texts[i : i + REFERENCES] for i in range(0, len(texts), REFERENCES)]
        references = {f"{number}.jpg": group for number, group in enumerate(groups)}
    else:
        references = {key: group for key, group in real.items() if len(group) == REFERENCES}
        references = dict(list(references.items())[:IMAGES])
    sources = [group[0].split() for group in references.values()]
    hypotheses = {}
    for number, key in enumerate(references):
        mine, other = sources[number], sources[number - 1]
        pairs = zip(mine, generator.random(len(mine)) < 0.35, strict=True)
        hypotheses[key] = " ".join(other[i % len(other)] if swap else word for i, (word, swap) in enumerate(pairs))
    return hypotheses, references


def best(function: Callable[[], Any], rounds: int = ROUNDS) -> float:
    """Returns the shortest of several times in CPU seconds, which other programs do not affect."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def speed(hypotheses: dict[str, str], references: dict[str, list[str]]) -> dict[str, dict[str, Any]]:
    """Times BLEU + ROUGE-L + CIDEr-D from text, from tokens, and the same three in pycocoevalcap from tokens."""
    split = tokenisers.find("coco")
    given = {key: split(text) for key, text in hypotheses.items()}
    truth = {key: [split(text) for text in group] for key, group in references.items()}
    text = best(lambda: score(hypotheses, references, METRICS))
    tokens, theirs = [], []
    joined = {key: [" ".join(t)] for key, t in given.items()}, {k: [" ".join(t) for t in g] for k, g in truth.items()}
    for _ in range(ROUNDS):  # in turn, so that other load meets both
        tokens.append(best(lambda: score(given, truth, METRICS, "none"), 1))
        theirs.append(best(lambda: coco_caption(*joined), 1))
    reward = CiderReward(truth)
    ids = list(references)[:BATCH]
    batch = [given[key] for key in ids]
    reward_ms = best(lambda: reward.reward(ids, batch), 50) * 1000
    what = f"{len(references):,} images × {REFERENCES} references, BLEU + ROUGE-L + CIDEr-D, seconds of one core"
    ratio = min(theirs) / min(tokens)
    return {
        "score.seconds_5000": figure(text, f"{what}, tokenised from text", "s"),
        "score.speed_vs_pycocoevalcap": figure(
            ratio, f"{what}, from tokens: {min(tokens):.2f} s here, {min(theirs):.2f} s there", "×"
        ),
        "score.cider_d_batch_ms": figure(reward_ms, f"{BATCH} captions against cached references", "ms"),
    }


def coco_caption(hypotheses: dict[str, list[str]], references: dict[str, list[str]]) -> list[float]:
    """Scores with pycocoevalcap."""
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    bleu = Bleu(4).compute_score(references, hypotheses, verbose=0)[0]
    return [*bleu, Rouge().compute_score(references, hypotheses)[0], Cider().compute_score(references, hypotheses)[0]]


def golden(folder: Path, captions: dict[str, list[str]] | None, with_java: bool) -> dict[str, dict[str, Any]]:
    """Compares scores with published captions and scores."""
    extra = ["meteor"] if with_java else []
    without = "" if with_java else "; METEOR not run"
    found = {}
    if captions is not None:
        gap = max(danieljl_gap(folder / "danieljl", name, captions, extra) for name in ("test", "validation"))
        note = f"largest difference from the seven published numbers, test and dev{without}"
        found["score.golden_danieljl_maxdiff"] = figure(gap, note)
    gap, shares = fakecap(folder / "coco_fakecap", extra)
    note = f"largest difference from numbers published with three digits{without}"
    found["score.golden_fakecap_maxdiff"] = figure(gap, note)
    note = f"captions with the Java tokeniser's tokens: {shares[0]:,} of {shares[1]:,} of coco_fakecap"
    if with_java and captions is not None:
        texts = [text for group in captions.values() for text in group]
        equal = sum(ptb.coco(text) == theirs for text, theirs in zip(texts, java_tokens(texts), strict=True))
        note += f", {equal:,} of {len(texts):,} of {len(captions):,} Flickr8k images"
        shares = (shares[0] + equal, shares[1] + len(texts))
    found["score.tokeniser_equal_share"] = figure(shares[0] / shares[1], note)
    references = files.read_references([folder / "flickr8k_refs" / "test_refs_raw.json"]).captions
    rows = human.human_rows(Scorer(references, ("bleu4", "cider")))
    for name in ("bleu4", "cider"):
        values = [row[name].value for row in rows]
        each = " ".join(f"{value:.3f}" for value in values)
        note = f"Flickr8k test, mean of each reference against the other four ({each}), tokeniser coco.1"
        found[f"human.{name}"] = figure(float(np.mean(values)), note)
    habits = diversity([ptb.coco(text) for group in references.values() for text in group])
    found["human.broken"] = figure(habits.broken, "Flickr8k test, share of the references that break off")
    found["human.repeats"] = figure(habits.repeats, "share that say a run of words twice in a row")
    return found


def danieljl_gap(folder: Path, split: str, captions: dict[str, list[str]], extra: list[str]) -> float:
    """Returns the largest difference from the published scores, in their convention: the end word counts."""
    import yaml

    read = {k: yaml.safe_load((folder / f"{split}-{k}-3-20.yaml").read_text()) for k in ("predictions", "metrics")}
    given = {key: text.split() for key, text in read["predictions"].items()}
    truth = {key: [[*text.lower().translate(KERAS_FILTER).split(), "zeosz"] for text in captions[key]] for key in given}
    scores = score(given, truth, ["bleu", "rouge", "cider", *extra], "none")
    return max(abs(found.value - read["metrics"][name.replace("bleu", "bleu_")]) for name, found in scores.items())


def fakecap(folder: Path, extra: list[str]) -> tuple[float, tuple[int, int]]:
    """Returns the largest difference from the published scores, and the number of captions with equal tokens."""
    published = {"bleu1": 0.579, "bleu2": 0.404, "bleu3": 0.279, "bleu4": 0.191}
    published |= {"rouge": 0.396, "cider": 0.600, "meteor": 0.195}
    references = files.read_references([folder / "en_captions_val2014.json"])
    given = files.align(files.read_hypotheses(folder / "en_captions_val2014_fakecap_results.json"), references)
    scores = score(given, references.captions, ["bleu", "rouge", "cider", *extra])
    gap = max(abs(found.value - published[name]) for name, found in scores.items())
    pairs = []
    for texts, name in ((references.captions, "references"), ({k: [t] for k, t in given.items()}, "results")):
        after = json.loads((folder / f"en_captions_val2014_{name}_after_tokenization.json").read_text())
        pairs += [(t, a) for key, group in after.items() for t, a in zip(texts[key], group, strict=True)]
    return gap, (sum(ptb.coco(text) == tokens.split() for text, tokens in pairs), len(pairs))


def java_tokens(texts: list[str]) -> list[list[str]]:
    """Runs coco-caption's Java tokeniser over a file with one caption per line."""
    folder = java.package_folder("tokenizer")
    command = ["java", "-cp", str(folder / "stanford-corenlp-3.4.1.jar"), "edu.stanford.nlp.process.PTBTokenizer"]
    with tempfile.TemporaryDirectory() as place, contextlib.chdir(place):
        Path("captions").write_text("\n".join(text.replace("\n", " ") for text in texts), encoding="utf-8")
        command += ["-preserveLines", "-lowerCase", "captions"]
        done = subprocess.run(command, check=True, capture_output=True)
    lines = done.stdout.decode("utf-8").split("\n")[: len(texts)]
    return [[token for token in line.split() if token not in ptb.DROPPED] for line in lines]


if __name__ == "__main__":
    main()
