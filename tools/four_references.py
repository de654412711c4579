"""Scores every row against four references, as people are scored, and compares the two best rows.

    python -m tools.four_references

Models are scored against five references; a person's caption can only be scored against the other four, and more
references give higher scores. So the kept captions of every row are scored against four references too: the mean over
leaving out each of the five. ``best`` is compared with ``best_five`` by the paired bootstrap of
``capsmith score --compare``.
"""

import argparse
import statistics
from pathlib import Path

from capsmith.metrics import Scorer
from capsmith.metrics.files import read_hypotheses, read_references
from capsmith.metrics.scores import compare
from tools import paths
from tools.rows import ROWS

COMMAND = "python -m tools.four_references --references ../shared/golden/flickr8k_refs/test_refs_raw.json"
FIRST, SECOND = ROWS["best"].folders[0], ROWS["best_five"].folders[0]
COMPARED = (
    f"capsmith score --hypotheses results/{SECOND}/report/predictions.jsonl "
    f"--compare results/{FIRST}/report/predictions.jsonl "
    "--references ../shared/golden/flickr8k_refs/test_refs_raw.json"
)
METRICS = ("bleu4", "cider")
NOTE = "against four references, as people are scored: the mean over leaving out each of five; people's: human."


def captions_of(folder: str) -> dict[str, list[str]]:
    """Reads the captions that a folder keeps."""
    return read_hypotheses(paths.RESULTS / folder / "report" / "predictions.jsonl").captions


def against_four(scorer: Scorer) -> dict[str, dict[str, list[float]]]:
    """Returns the scores of each row's folders by row and metric, each the mean over leaving out each reference."""
    reduced = [scorer.without_reference(number) for number in range(len(scorer.tokens[0]))]
    values: dict[str, dict[str, list[float]]] = {}
    for name, row in ROWS.items():
        values[name] = {metric: [] for metric in METRICS}
        for folder in row.folders:
            tokens = scorer.tokenise(captions_of(folder))
            scores = [one.score_tokens(tokens) for one in reduced]
            for metric in METRICS:
                values[name][metric].append(statistics.mean(score[metric].value for score in scores))
    return values


def main() -> None:
    """Enters the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--references", type=Path, default=paths.REFERENCES, help="of the official test split")
    args = parser.parse_args()
    references = read_references([args.references]).captions
    summary = paths.read_summary()
    for name, metrics in against_four(Scorer(references, METRICS)).items():
        for metric, values in metrics.items():
            figure = {"value": statistics.mean(values), "unit": "", "command": COMMAND, "seeds": len(values)}
            summary[f"flickr8k.{name}.{metric}_four_references"] = {**figure, "note": NOTE + metric}
    scorer = Scorer(references, ("bleu", "rouge", "cider"))
    first, second = (scorer.score(captions_of(folder)) for folder in (FIRST, SECOND))
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
    paths.write_summary(summary)


if __name__ == "__main__":
    main()
