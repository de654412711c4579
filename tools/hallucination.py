"""Measures hallucinated objects: of every row of the results tables, of people, and of the control.

    python -m tools.hallucination

Captions name objects that nothing confirms (``capsmith.metrics.grounding.hallucination``). The truth is what references
name or imply, and what a detector found: ``results/flickr8k/grounding/detections_test.jsonl``, written by ``--detect
MODEL.onnx IMAGES``. Captions are those that the repository keeps; test is not decoded again.

People and models are measured alike: against four references and the same detections. A person's caption is one
reference against the other four; a model's caption is measured five times, each time without another reference; the
figures are means over the five. The control gives every image the caption of another one.

Writes ``results/flickr8k/grounding/hallucination.csv`` and the figures ``grounding.…`` of ``results/summary.json``.
"""

import argparse
import csv
import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from capsmith.core.files import atomic, write_text
from capsmith.evaluation.evaluate import shuffled
from capsmith.metrics import Score, Scorer
from capsmith.metrics.files import read_references
from capsmith.metrics.grounding.detections import DetectedLabels, read_detections
from capsmith.metrics.human import human_rows
from tools import paths
from tools.four_references import captions_of
from tools.rows import HEADLINE, ROWS

FOLDER = paths.FLICKR8K / "grounding"
DETECTIONS = FOLDER / "detections_{split}.jsonl"
TABLE = FOLDER / "hallucination.csv"
THRESHOLD = 0.4  # the detector's own
KEPT = 0.3  # least confidence of the detections in the repository
COMMAND = "python -m tools.hallucination"
RATES = ("chair_i", "chair_s")
PEOPLE, CONTROL = "people", "control"
NOTE = "hallucinated mentions by all mentions (CHAIRi), test, four references and NanoDet at 0.4"


def detect(model: Path, images: Path, split: str) -> None:
    """Writes the classes that a detector finds in the images of a split: the most confident object of each."""
    from capsmith.vision.detection.load import load_detector

    detector = load_detector(str(model))
    names = (images.parent / f"Flickr_8k.{split}Images.txt").read_text(encoding="utf-8").split()
    lines = []
    for name in names:
        found = detector.detect(images / name, KEPT).objects
        best = {one.label: round(one.score, 3) for one in reversed(found)}
        objects = [{"label": label, "score": score} for label, score in sorted(best.items())]
        lines.append(json.dumps({"image": name, "objects": objects}))
    write_text(Path(str(DETECTIONS).format(split=split)), "\n".join(lines) + "\n")


def alike(scorer: Scorer, captions: Mapping[str, Any]) -> dict[str, float]:
    """Returns the rates of captions against one reference fewer, the mean over leaving out each."""
    tokens = scorer.tokenise(captions)
    count = min(len(group) for group in scorer.tokens)
    return mean([scorer.without_reference(number).score_tokens(tokens) for number in range(count)])


def mean(scores: Sequence[Mapping[str, Score]]) -> dict[str, float]:
    """Returns the mean of each rate."""
    return {rate: statistics.mean(score[rate].value for score in scores) for rate in RATES}


def rows(references: Mapping[str, Sequence[str]], found: DetectedLabels) -> Iterator[dict[str, Any]]:
    """Yields the lines of the table: people, each row of the results, and the control of the headline row."""
    scorers = {
        "": Scorer(references, ["hallucination"], detections=found),
        "_references": Scorer(references, ["hallucination"]),
    }

    def line(name: str, seeds: int, of: Any) -> dict[str, Any]:
        rates = {suffix: of(scorer) for suffix, scorer in scorers.items()}
        values = {f"{rate}{suffix}": f"{found[rate]:.4f}" for suffix, found in rates.items() for rate in RATES}
        return {"row": name, "seeds": seeds, **values}

    yield line(PEOPLE, 5, lambda scorer: mean(human_rows(scorer)))
    for name, row in ROWS.items():
        kept = [captions_of(folder) for folder in row.folders]
        yield line(name, len(kept), lambda scorer, kept=kept: _mean_rates([alike(scorer, one) for one in kept]))
    best = {image: group[0] for image, group in captions_of(ROWS["best"].folders[0]).items()}
    yield line(CONTROL, 1, lambda scorer: alike(scorer, shuffled(best, 0)))


def _mean_rates(rates: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {rate: statistics.mean(one[rate] for one in rates) for rate in RATES}


def figures(table: Sequence[Mapping[str, Any]]) -> paths.Summary:
    """Returns the figures that the project states."""
    names = {PEOPLE: "grounding.human_rate", CONTROL: "grounding.control_rate", "best": "grounding.hallucination_rate"}
    names |= {row: f"grounding.{row}.hallucination_rate" for row in HEADLINE if row != "best"}
    return {
        names[line["row"]]: {
            "value": float(line["chair_i"]),
            "unit": "",
            "command": COMMAND,
            "seeds": 1 if line["row"] == PEOPLE else line["seeds"],
            "note": f"{line['row']}: {NOTE}",
        }
        for line in table
        if line["row"] in names
    }


def main() -> None:
    """Measures and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--references", type=Path, default=paths.REFERENCES, help="of the official test split")
    parser.add_argument("--detect", type=Path, nargs=2, metavar=("MODEL", "IMAGES"), help="write the detections first")
    parser.add_argument("--no-summary", action="store_true", help="write the table alone")
    args = parser.parse_args()
    if args.detect is not None:
        for split in ("dev", "test"):
            detect(*args.detect, split)
    found = read_detections(Path(str(DETECTIONS).format(split="test")), THRESHOLD)
    table = list(rows(read_references([args.references]).captions, found))
    with atomic(TABLE) as file:
        writer = csv.DictWriter(file, list(table[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
    if not args.no_summary:
        paths.write_summary(paths.read_summary() | figures(table))


if __name__ == "__main__":
    main()
