"""Enters what compares models with people, and the two highest rows with each other.

    python results/like_for_like.py

Models are scored against five references and people, one reference against the others, against four; more references
give higher scores. So here the kept captions of every row are scored against four references as well: the mean over
leaving out each of the five. And ``best`` is compared with ``best_five`` by the same paired bootstrap as
``capsmith score --compare``.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from rows import RESULTS, ROWS  # noqa: E402

from capsmith.core.files import write_json  # noqa: E402
from capsmith.metrics import Scorer  # noqa: E402
from capsmith.metrics.files import read_hypotheses, read_references  # noqa: E402
from capsmith.metrics.scores import compare  # noqa: E402

COMMAND = "python results/like_for_like.py --references ../shared/golden/flickr8k_refs/test_refs_raw.json"
COMPARED = (
    "capsmith score --hypotheses results/flickr8k_best_five/report/predictions.jsonl "
    "--compare results/flickr8k_best/report/predictions.jsonl "
    "--references ../shared/golden/flickr8k_refs/test_refs_raw.json"
)
METRICS = ("bleu4", "cider")


def captions_of(folder: str) -> dict[str, str]:
    """Reads the captions that a folder keeps."""
    return read_hypotheses(RESULTS / folder / "report" / "predictions.jsonl").captions


def against_four(scorer: Scorer) -> dict[str, dict[str, list[float]]]:
    """Returns for each row and metric its folders' scores, each the mean over leaving out each reference."""
    fewer = [scorer.without_reference(number) for number in range(len(scorer.tokens[0]))]
    found: dict[str, dict[str, list[float]]] = {}
    for name, row in ROWS.items():
        found[name] = {metric: [] for metric in METRICS}
        for folder in row.folders:
            tokens = scorer.tokenise(captions_of(folder))
            scores = [one.score_tokens(tokens) for one in fewer]
            for metric in METRICS:
                found[name][metric].append(statistics.mean(score[metric].value for score in scores))
    return found


def main() -> None:
    """Enters the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = RESULTS.parents[1] / "shared" / "golden" / "flickr8k_refs" / "test_refs_raw.json"
    parser.add_argument("--references", type=Path, default=default, help="of the official test split")
    args = parser.parse_args()
    references = read_references([args.references]).captions
    path = RESULTS / "summary.json"
    summary: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    note = "against four references, as people are: the mean over leaving out each of five; people's: human."
    for name, metrics in against_four(Scorer(references, METRICS)).items():
        for metric, values in metrics.items():
            figure = {"value": statistics.mean(values), "unit": "", "command": COMMAND, "seeds": len(values)}
            summary[f"flickr8k.{name}.{metric}_four_references"] = {**figure, "note": note + metric}
    scorer = Scorer(references, ("bleu", "rouge", "cider"))
    first, second = (scorer.score(captions_of(f"flickr8k_{name}")) for name in ("best", "best_five"))
    for metric in first:
        test = compare(first[metric], second[metric])
        low, high = test.interval
        summary[f"compare.best_against_five.{metric}"] = {
            "value": test.difference,
            "unit": "",
            "command": COMPARED,
            "seeds": 1,
            "note": f"flickr8k.best minus flickr8k.best_five, 95 % {low:+.3f} to {high:+.3f}, p {test.p_value:.3f} "
            "(paired bootstrap over images)",
        }
    write_json(path, summary)


if __name__ == "__main__":
    main()
