"""Enters what scores hide: how varied the captions are, and how many of them no native speaker would write.

    python -m tools.caption_statistics

For every row and for people: distinct words in 1,000 captions, words per caption, share of distinct captions, share
copied from a training caption, share with a grammatical fault (``tools/grammar.py``), and share with a relation that
30,000 training captions never contain although three occurrences were expected ("on a sky"). Human captions are the
control of the rules. Captions judged beside their images are entered by ``tools.judged_sample``.
"""

import argparse
import statistics
from collections import Counter
from pathlib import Path
from typing import Any

from capsmith.core.files import write_json
from capsmith.metrics.diversity import diversity
from capsmith.metrics.files import read_hypotheses, read_references
from capsmith.metrics.tokenisers import find
from tools import paths
from tools.grammar import UnusualRelations, objections
from tools.rows import ROWS

COMMAND = "python -m tools.caption_statistics --root ../shared/flickr8k"
PEOPLE = "people"
NOTES = {
    "words": "distinct words in 1,000 captions",
    "length": "words per caption",
    "distinct_share": "distinct captions among 1,000",
    "copied_share": "captions that equal a training caption word for word",
    "ungrammatical_by_rule_share": "captions with a fault according to tools/grammar.py; people's are the control",
    "odd_relation_share": "captions with a relation that never occurs in training captions although three occurrences "
    "were expected; people's are the control",
}
Tokens = list[str]


def measures(captions: list[Tokens], training: list[Tokens], unusual: UnusualRelations) -> dict[str, float]:
    """Measures 1,000 captions, one per image."""
    counts = diversity(captions, training)
    return {
        "words": counts.vocabulary,
        "length": counts.mean_length,
        "distinct_share": counts.distinct,
        "copied_share": 1.0 - (counts.novel or 0.0),
        "ungrammatical_by_rule_share": sum(bool(objections(caption)) for caption in captions) / len(captions),
        "odd_relation_share": sum(bool(unusual(caption)) for caption in captions) / len(captions),
    }


def read(root: Path) -> tuple[dict[str, list[list[Tokens]]], list[Tokens]]:
    """Returns the captions of every row's folders and of people, and the training captions."""
    tokenise = find("coco")
    captions = read_references([root / "Flickr8k.token.txt"]).captions
    names = {
        split: (root / f"Flickr_8k.{split}Images.txt").read_text(encoding="utf-8").split()
        for split in ("train", "test")
    }
    training = [tokenise(caption) for name in names["train"] for caption in captions[name]]
    sets = {name: [tokens_of(folder) for folder in row.folders] for name, row in ROWS.items()}
    sets[PEOPLE] = [[tokenise(captions[name][number]) for name in names["test"]] for number in range(5)]
    return sets, training


def tokens_of(folder: str) -> list[Tokens]:
    """Returns the tokens of a kept folder's captions."""
    tokenise = find("coco")
    hypotheses = read_hypotheses(paths.RESULTS / folder / "report" / "predictions.jsonl").captions
    return [tokenise(captions[0]) for captions in hypotheses.values()]


def faults(captions: list[Tokens], unusual: UnusualRelations) -> dict[str, Any]:
    """Returns every caption that a rule objects to, and the number of objections by rule."""
    by_rule = Counter(rule for caption in captions for rule in objections(caption))
    return {
        "captions": len(captions),
        "by_rule": dict(by_rule.most_common()),
        "objected_to": sorted({" ".join(one): objections(one) for one in captions if objections(one)}.items()),
        "odd_relations": sorted({" ".join(one): unusual(one) for one in captions if unusual(one)}.items()),
    }


def main() -> None:
    """Enters the figures, and keeps every caption that a rule objected to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=paths.SHARED / "flickr8k", help="Flickr8k's text files")
    args = parser.parse_args()
    sets, training = read(args.root)
    unusual = UnusualRelations(training)
    summary = paths.read_summary()
    objected: dict[str, Any] = {}
    for name, groups in sets.items():
        each = [measures(captions, training, unusual) for captions in groups]
        for measure, note in NOTES.items():
            source = "one person, mean of five" if name == PEOPLE else f"flickr8k.{name}"
            summary[f"reading.{measure}_{name}"] = {
                "value": statistics.mean(one[measure] for one in each),
                "unit": "",
                "command": COMMAND,
                "seeds": len(each),
                "note": f"{source}: {note}",
            }
        objected[name] = faults([caption for group in groups for caption in group], unusual)
    paths.write_summary(summary)
    write_json(paths.FLICKR8K / "caption_faults.json", objected)


if __name__ == "__main__":
    main()
