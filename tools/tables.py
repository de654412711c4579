"""Writes the README's tables from results/summary.json, so that no figure stands in two places.

A table stands between ``<!-- table NAME -->`` and ``<!-- end -->``; NAME is one of those in ``fill``. The commands that
give the figures are written into results/README.md in the same way. ``python results/tables.py --check`` changes
nothing and fails when one of the two is not up to date.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from rows import HEADLINE, ROWS  # noqa: E402

Summary = Mapping[str, dict[str, Any]]
ROOT = Path(__file__).resolve().parents[1]
READINGS = ROOT / "results" / "test_readings.jsonl"
ABLATION = ROOT / "results" / "ablation.json"
SUMMARY = ROOT / "results" / "summary.json"
PAGES = (ROOT / "README.md", ROOT / "results" / "README.md")

TABLES: dict[str, tuple[str, ...]] = {
    "quickstart": ("quickstart.",),
    "score": ("score.", "human."),
    "machine": ("train.", "cli.", "robust.", "batch.", "finetune.", "scripts."),
    "speed": ("speed.",),
    "compare": ("compare.",),
}
"""Tables of figures by the beginnings of their names."""


COLUMNS = {
    "bleu1": "BLEU-1",
    "bleu2": "BLEU-2",
    "bleu3": "BLEU-3",
    "bleu4": "BLEU-4",
    "meteor": "METEOR",
    "rouge": "ROUGE-L",
    "cider": "CIDEr",
    "shuffled_cider": "CIDEr, images shuffled",
}
"""Figures ``flickr8k.ROW.…`` of the table of scores; the rows are those of ``rows.py``."""
OTHERS = "others.show_and_tell_vgg16"
QUOTED = (
    (
        "*Show and Tell family, VGG16, highest CIDEr of 66 (re-scored)*",
        {name: f"{OTHERS}.{name}" for name in ("bleu1", "bleu2", "bleu3", "bleu4", "rouge", "cider")},
    ),
    (
        "*hard attention, VGG (Xu et al. 2015)* †",
        {"bleu1": 0.67, "bleu2": 0.457, "bleu3": 0.314, "bleu4": 0.213, "meteor": 0.203},
    ),
    (
        "*attention, ResNet-50, beam 7 (self-reported)* †",
        {"bleu1": 0.683, "bleu2": 0.488, "bleu3": 0.347, "bleu4": 0.244, "meteor": 0.22},
    ),
    (
        "*SCA-CNN, ResNet-152 (Chen et al. 2017)* ‡",
        {"bleu1": 0.682, "bleu2": 0.496, "bleu3": 0.359, "bleu4": 0.258, "meteor": 0.224},
    ),
    ("*CLIP ViT-L/14 prefix, GPT-2* †", {"bleu4": 0.262, "meteor": 0.257}),
    (
        "*attributes learned from other data, then an LSTM (Wu et al. 2016)* ‡",
        {"bleu1": 0.74, "bleu2": 0.54, "bleu3": 0.38, "bleu4": 0.27},
    ),
)
"""Rows of others: figures of the summary by name, or as published.

† was never re-scored, its convention is unknown; ‡ is quoted from memory as well.
"""
PEOPLE = {
    "bleu4_four_references": "BLEU-4",
    "cider_four_references": "CIDEr",
    "broken": "broken off",
    "repeats": "repeat",
}
READING = {
    "words": "words",
    "length": "length",
    "distinct_share": "different",
    "copied_share": "copied",
    "ungrammatical_by_rule_share": "ungrammatical, by rule",
    "odd_relation_share": "odd relation, by rule",
    "correct_share": "right",
    "partly_share": "partly",
    "wrong_share": "wrong",
    "ungrammatical_share": "ungrammatical or absurd",
}
"""Figures ``reading.…_ROW``; the last four are of captions that were read with their images."""
COST = {"training_minutes": "training minutes", "all_parameters": "parameters", "all_mb": "MB"}


def table(summary: Summary, name: str) -> str:
    """Returns a table of figures in Markdown."""
    return "\n".join(figures({key: entry for key, entry in summary.items() if key.startswith(TABLES[name])}))


def commands(summary: Summary) -> str:
    """Returns every command in Markdown, beneath the names of the figures that it gives."""
    given: dict[str, list[str]] = {}
    for key, entry in summary.items():
        given.setdefault(entry["command"], []).append(key)
    lines = []
    for command, keys in given.items():
        of: dict[str, list[str]] = {}
        for key in keys:
            group, _, figure = key.rpartition(".")
            of.setdefault(group, []).append(figure)
        lines += [" · ".join(f"`{group}.` {', '.join(found)}" for group, found in of.items()), f"```\n{command}\n```"]
    return "\n".join(lines)


def scores(summary: Summary) -> str:
    """Returns the scores: a row for each of ours, and for each of others."""
    rows = _head("model", "training captions at decoding", *COLUMNS.values())
    for name, row in ROWS.items():
        cells = [_shown(summary.get(f"flickr8k.{name}.{column}")) for column in COLUMNS]
        rows.append(_line(_label(name), "yes" if row.looks_up else "", *cells))
    for said, values in QUOTED:
        known = [_known(summary, values.get(column)) for column in COLUMNS]
        rows.append(_line(said, "", *known))
    return "\n".join(rows)


def people(summary: Summary) -> str:
    """Returns what compares models with people: four references each, and what their captions are like."""
    read = [key for key in READING if any(name.startswith(f"reading.{key}_") for name in summary)]
    rows = _head("model", *PEOPLE.values(), *(READING[key] for key in read))
    for name in HEADLINE:
        cells = [_shown(summary.get(f"flickr8k.{name}.{key}")) for key in PEOPLE]
        rows.append(_line(_label(name), *cells, *(_reading(summary, key, name) for key in read)))
    human = [_shown(summary.get(f"human.{key.removesuffix('_four_references')}")) for key in PEOPLE]
    rows.append(_line("*people, one against the other four*", *human, *(_reading(summary, k, "people") for k in read)))
    return "\n".join(rows)


def cost(summary: Summary) -> str:
    """Returns what each row took, how often test was read for it, and what of "dev chose" can be checked here."""
    rows = _head("model", *COST.values(), "readings of test", "of these replaced", "dev chose: to be checked here")
    counted = readings()
    for name, row in ROWS.items():
        cells = [_shown(summary.get(f"flickr8k.{name}.{column}")) for column in COST]
        of = [one for one in counted if one.get("row") == name]
        replaced = sum(one.get("replaced_by") is not None for one in of)
        rows.append(_line(_label(name), *cells, str(len(of)), str(replaced or ""), row.chosen))
    return "\n".join(rows)


def replaced(_: Summary) -> str:
    """Returns the readings that are not shown any more, and what took their place."""
    entries = {one["id"]: one for one in readings()}
    rows = _head("read as", "seed", "CIDEr", "BLEU-4", "replaced by", "its CIDEr", "row now", "why")
    for one in entries.values():
        if (after := entries.get(one.get("replaced_by"))) is not None:
            before = [f"{one['scores'][key]:.3f}" if key in one["scores"] else "" for key in ("cider", "bleu4")]
            name = one["kept_as"] or "not kept"
            rows.append(
                _line(
                    f"`{name}`",
                    str(one["seed"]),
                    *before,
                    f"`{after['kept_as']}`",
                    f"{after['scores']['cider']:.3f}",
                    f"`flickr8k.{one['row']}`",
                    one.get("why", ""),
                )
            )
    return "\n".join(rows)


def readings() -> list[dict[str, Any]]:
    """Returns the log of test readings."""
    return [json.loads(line) for line in READINGS.read_text(encoding="utf-8").splitlines()]


def _label(name: str) -> str:
    seeds = len(ROWS[name].folders)
    said = ROWS[name].label + (f", mean of {seeds} seeds" if seeds > 1 else "")
    return f"{said} (`{name}`)"


def _head(*names: str) -> list[str]:
    return [_line(*names), "|---" * len(names) + "|"]


def _line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _known(summary: Summary, value: float | str | None) -> str:
    found = summary[value]["value"] if isinstance(value, str) and value in summary else value
    return f"{found:.3f}" if isinstance(found, float) else ""


def _reading(summary: Summary, measure: str, name: str) -> str:
    entry = summary.get(f"reading.{measure}_{name}")
    if entry is None:
        return ""
    if measure == "words":
        return f"{entry['value']:,.0f}"
    return f"{entry['value']:.1f}" if measure == "length" else f"{entry['value']:.1%}"


def _shown(entry: dict[str, Any] | None) -> str:
    if entry is None:
        return ""
    value = entry["value"]
    return f"{value:,}" if isinstance(value, int) else f"{value:.{1 if entry['unit'] else 3}f}"


def figures(entries: dict[str, dict[str, Any]]) -> list[str]:
    """Returns a row for each figure."""
    rows = ["| figure | value | what it is |", "|---|---|---|"]
    for name, entry in entries.items():
        value = f"{entry['value']:,.4g}" if isinstance(entry["value"], float) else f"{entry['value']:,}"
        if "range" in entry:  # what one run says is not what another will
            value = " to ".join(f"{bound:,.4g}" for bound in entry["range"])
        unit = f" {entry['unit']}" if entry.get("unit") else ""
        rows.append(f"| `{name}` | **{value}**{unit} | {entry.get('note', '')} |")
    return rows


def ablation() -> str:
    """Returns what each part of the recipe is worth, the largest gain first."""
    found = json.loads(ABLATION.read_text(encoding="utf-8"))
    rows = sorted(found["rows"].items(), key=lambda item: -item[1]["dev_cider_change"])
    lines = ["| changed | dev BLEU-4 | dev CIDEr | change |", "|---|---|---|---|"]
    for name, row in rows:
        said = f"**{name}**" if name == "base" else name
        change = "" if name == "base" else f"{row['dev_cider_change']:+.3f}"
        shown = (said, f"{row['dev_bleu4']:.3f}", f"{row['dev_cider']:.3f}", change)
        lines.append("| " + " | ".join(shown) + " |")
    return "\n".join(lines)


def fill(page: str, summary: Summary) -> str:
    """Returns a page with every marked table written anew."""
    written = {name: partial(table, summary, name) for name in TABLES}
    written |= {"ablation": ablation, "commands": partial(commands, summary)}
    written |= {"flickr8k": partial(scores, summary), "people": partial(people, summary)}
    written |= {"cost": partial(cost, summary), "replaced": partial(replaced, summary)}
    for name, write in written.items():
        start, end = f"<!-- table {name} -->", "<!-- end -->"
        before, found, rest = page.partition(start)
        if found:
            _, _, after = rest.partition(end)
            page = f"{before}{start}\n{write()}\n{end}{after}"
    return page


def main() -> int:
    """Writes the pages, or checks them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when a page is out of date")
    args = parser.parse_args()
    summary = json.loads(SUMMARY.read_text(encoding="utf-8"))
    old = {page: page.read_text(encoding="utf-8") for page in PAGES}
    new = {page: fill(text, summary) for page, text in old.items()}
    if args.check:
        return int(old != new)
    for page, text in new.items():
        page.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
