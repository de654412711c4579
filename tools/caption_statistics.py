"""Enters what scores hide: how rich the captions are, and how many of them no native speaker would write.

    python results/reading.py

For every row and for people: different words in 1,000 captions, words a caption, share of different captions, share
that copy a training caption word for word, share that a rule of ``grammar.py`` objects to, and share with a relation
that 30,000 training captions never have although three were to be expected ("on a sky"). People's captions stand
beside as the control of the rules. What is read by a person, with the images, is entered by hand as
``reading.correct_share_ROW``, ``reading.partly_share_ROW``, ``reading.wrong_share_ROW`` and
``reading.ungrammatical_share_ROW``.
"""

import argparse
import json
import statistics
import sys
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from grammar import UnusualRelations, objections  # noqa: E402
from rows import RESULTS, ROWS  # noqa: E402

from capsmith.core.files import write_json  # noqa: E402
from capsmith.metrics.diversity import diversity  # noqa: E402
from capsmith.metrics.files import read_hypotheses, read_references  # noqa: E402
from capsmith.metrics.tokenisers import find  # noqa: E402

COMMAND = "python results/reading.py --root ../shared/flickr8k"
PEOPLE = "people"
NOTES = {
    "words": "different words in 1,000 captions",
    "length": "words a caption",
    "distinct_share": "different captions among 1,000",
    "copied_share": "captions that are a training caption, word for word",
    "ungrammatical_by_rule_share": "captions that a rule of results/grammar.py objects to; people's are the control",
    "odd_relation_share": "captions with a relation that training captions never have although three were to be "
    "expected; people's are the control",
}
Tokens = list[str]


def measures(captions: list[Tokens], training: list[Tokens], odd: UnusualRelations) -> dict[str, float]:
    """Measures 1,000 captions, one an image."""
    said = diversity(captions, training)
    return {
        "words": said.vocabulary,
        "length": said.mean_length,
        "distinct_share": said.distinct,
        "copied_share": 1.0 - (said.novel or 0.0),
        "ungrammatical_by_rule_share": sum(bool(objections(one)) for one in captions) / len(captions),
        "odd_relation_share": sum(bool(odd(one)) for one in captions) / len(captions),
    }


def read(root: Path) -> tuple[dict[str, list[list[Tokens]]], list[Tokens]]:
    """Returns the captions of every row's folders and of people, and the training captions."""
    tokenise = find("coco")
    captions = read_references([root / "Flickr8k.token.txt"]).captions
    lists = {
        split: (root / f"Flickr_8k.{split}Images.txt").read_text(encoding="utf-8").split()
        for split in ("train", "test")
    }
    training = [tokenise(caption) for name in lists["train"] for caption in captions[name]]
    sets = {
        name: [
            [
                tokenise(group[0])
                for group in read_hypotheses(RESULTS / folder / "report/predictions.jsonl").captions.values()
            ]
            for folder in row.folders
        ]
        for name, row in ROWS.items()
    }
    sets[PEOPLE] = [[tokenise(captions[name][number]) for name in lists["test"]] for number in range(5)]
    return sets, training


def main() -> None:
    """Enters the figures, and keeps every caption that a rule objected to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--root", type=Path, default=RESULTS.parents[1] / "shared" / "flickr8k", help="Flickr8k's texts"
    )
    args = parser.parse_args()
    sets, training = read(args.root)
    odd = UnusualRelations(training)
    path = RESULTS / "summary.json"
    summary: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    found: dict[str, Any] = {}
    for name, groups in sets.items():
        each = [measures(captions, training, odd) for captions in groups]
        for measure, note in NOTES.items():
            value = statistics.mean(one[measure] for one in each)
            whose = "one person, mean of five" if name == PEOPLE else f"flickr8k.{name}"
            figure = {"value": value, "unit": "", "command": COMMAND, "seeds": len(each)}
            summary[f"reading.{measure}_{name}"] = {**figure, "note": f"{whose}: {note}"}
        captions = [caption for group in groups for caption in group]
        rules = Counter(rule for caption in captions for rule in objections(caption))
        found[name] = {
            "captions": len(captions),
            "by_rule": dict(rules.most_common()),
            "objected_to": sorted({" ".join(one): objections(one) for one in captions if objections(one)}.items()),
            "odd_relations": sorted({" ".join(one): odd(one) for one in captions if odd(one)}.items()),
        }
    write_json(path, summary)
    write_json(RESULTS / "reading.json", found)


if __name__ == "__main__":
    main()
