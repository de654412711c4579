"""Scores every kept predictions file again and prints the largest difference from the stated figures.

    python -m tools.rescore [--enter]

Two differences count: each kept ``report/scores.json`` against the scores of its predictions, and each figure in
``summary.json`` against the mean of the kept scores that it names. ``--enter`` writes ``house.rescore_maxdiff``.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from capsmith.metrics import Scorer
from capsmith.metrics.files import read_hypotheses, read_references
from tools import paths
from tools.rows import ROWS

METRICS = ("bleu", "rouge", "cider")


def kept_scores(folder: str) -> dict[str, Any]:
    """Reads the scores that a folder keeps."""
    report = (paths.RESULTS / folder / "report" / "scores.json").read_text(encoding="utf-8")
    scores: dict[str, Any] = json.loads(report)
    return scores


def difference_of_folder(folder: str, scorer: Scorer) -> float:
    """Returns the largest difference between the kept scores of a folder and those of its predictions."""
    scores = scorer.score(read_hypotheses(paths.RESULTS / folder / "report" / "predictions.jsonl").captions)
    kept = kept_scores(folder)["scores"]
    return max(abs(kept[metric]["value"] - score.value) for metric, score in scores.items())


def difference_of_figure(entry: dict[str, Any]) -> float:
    """Returns the difference between a figure and the mean of the kept scores that it names; 0 when it names none."""
    values = []
    for path, *keys in entry.get("scores", []):
        value = json.loads((paths.ROOT / path).read_text(encoding="utf-8"))
        for key in keys:
            value = value[key]
        values.append(value)
    return abs(statistics.mean(values) - entry["value"]) if values else 0.0


def main() -> None:
    """Prints the largest difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--references", type=Path, default=paths.REFERENCES, help="of the official test split")
    parser.add_argument("--enter", action="store_true", help="enter it as house.rescore_maxdiff")
    args = parser.parse_args()
    summary = paths.read_summary()
    scorer = Scorer(read_references([args.references]).captions, METRICS)
    folders = [folder for row in ROWS.values() for folder in row.folders]
    in_folders = max(difference_of_folder(folder, scorer) for folder in folders)
    in_figures = max(map(difference_of_figure, summary.values()))
    print(f"{len(folders)} predictions files: {in_folders:.3g}; figures of summary.json: {in_figures:.3g}")
    if args.enter:
        summary["house.rescore_maxdiff"] = {
            "value": max(in_folders, in_figures),
            "unit": "",
            "command": "python -m tools.rescore",
            "seeds": 1,
            "note": f"largest difference between {len(folders)} re-scored predictions files and the stated figures",
        }
        paths.write_summary(summary)


if __name__ == "__main__":
    main()
