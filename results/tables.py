"""Writes the README's tables from results/summary.json, so that no figure stands in two places.

A table stands between ``<!-- table NAME -->`` and ``<!-- end -->``; NAME is one of ``TABLES`` below. The commands that
give the figures are written into results/README.md in the same way. ``python results/tables.py --check`` changes
nothing and fails when one of the two is not up to date.
"""

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
ABLATION = ROOT / "results" / "ablation.json"
SUMMARY = ROOT / "results" / "summary.json"
PAGES = (ROOT / "README.md", ROOT / "results" / "README.md")

TABLES: dict[str, tuple[str, ...]] = {
    "quickstart": ("quickstart.",),
    "flickr8k": ("flickr8k.",),
    "score": ("score.", "human."),
    "machine": ("train.", "cli.", "robust.", "finetune.", "scripts."),
    "speed": ("speed.",),
}


MODELS = {
    "merge": "merge LSTM, MobileNetV2 pooled, GloVe 50d",
    "merge_inception": "merge LSTM, InceptionV3 mixed8 pooled, GloVe 50d",
    "inject": "inject LSTM, InceptionV3 mixed8 pooled, GloVe 50d",
    "attention": "soft attention (Show, Attend and Tell), both encoders 8 × 8",
    "quick": "attention on attention, MobileNetV2 8 × 8 adapted, half the width, 8 epochs (flickr8k_quick.yaml)",
    "updown": "top-down attention, both encoders 8 × 8",
    "xe_inception": "attention on attention, InceptionV3 mixed8 8 × 8",
    "xe_frozen": "attention on attention, InceptionV3 mixed8 and MobileNetV2, 8 × 8, as ImageNet left them",
    "xe_frozen_consensus": "the same, consensus with neighbours",
    "xe": "attention on attention, both encoders adapted to the captions' words",
    "xe_consensus": "the same, consensus with neighbours",
    "scst_inception": "InceptionV3 alone, then self-critical training",
    "scst_frozen": "both encoders as ImageNet left them, then self-critical training",
    "scst_frozen_consensus": "the same, consensus with neighbours",
    "scst_beam": "both encoders adapted, then self-critical training",
    "scst": "the same, consensus with neighbours",
    "best_frozen": "five of both stages writing together, encoders as ImageNet left them, consensus with neighbours",
    "best_five": "five of both stages writing together, encoders adapted, consensus with neighbours",
    "best": "four of both stages, each proposing, chosen from by neighbours and by words that features speak of",
}
"""What stands in the first column for ``flickr8k.NAME.…``, in this order."""
COLUMNS = {
    "bleu1": "BLEU-1",
    "bleu2": "BLEU-2",
    "bleu3": "BLEU-3",
    "bleu4": "BLEU-4",
    "meteor": "METEOR",
    "rouge": "ROUGE-L",
    "cider": "CIDEr",
    "shuffled_cider": "CIDEr, pictures shuffled",
    "broken": "broken off",
    "repeats": "repeat",
    "minutes": "minutes",
    "parameters": "parameters",
    "checkpoint_mb": "MB",
}
PEOPLE = ("bleu4", "cider", "broken", "repeats")
QUOTED = (
    ("*one person against the other four*", {name: f"human.{name}" for name in PEOPLE}),
    ("*Show and Tell family, VGG16, best of 66 (re-scored)*", {"bleu4": 0.195, "cider": 0.488}),
    (
        "*hard attention, VGG (Xu et al. 2015)* †",
        {"bleu1": 0.67, "bleu2": 0.457, "bleu3": 0.314, "bleu4": 0.213, "meteor": 0.203},
    ),
    (
        "*attention, ResNet-50, beam 7 (self-reported)* †",
        {"bleu1": 0.683, "bleu2": 0.488, "bleu3": 0.347, "bleu4": 0.244, "meteor": 0.22},
    ),
    (
        "*SCA-CNN, ResNet-152 (Chen et al. 2017)* †",
        {"bleu1": 0.682, "bleu2": 0.496, "bleu3": 0.359, "bleu4": 0.258, "meteor": 0.224},
    ),
    ("*CLIP ViT-L/14 prefix, GPT-2* †", {"bleu4": 0.262, "meteor": 0.257}),
)
"""Rows of others: figures of the summary by name, or as published; † was never re-scored, its convention is unknown."""


def table(summary: dict[str, dict[str, Any]], name: str) -> str:
    """Returns one table in Markdown."""
    entries = {key: entry for key, entry in summary.items() if key.startswith(TABLES[name])}
    return "\n".join(models(entries, summary) if name == "flickr8k" else figures(entries))


def commands(summary: dict[str, dict[str, Any]]) -> str:
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


def models(entries: dict[str, dict[str, Any]], summary: dict[str, dict[str, Any]]) -> list[str]:
    """Returns a row for each model, and for each of others, and a column for each metric."""
    shown = [column for column in COLUMNS if any(key.endswith(f".{column}") for key in entries)]
    rows = ["| model | " + " | ".join(COLUMNS[c] for c in shown) + " |", "|---" * (len(shown) + 1) + "|"]
    for model, said in MODELS.items():
        cells = [entries.get(f"flickr8k.{model}.{column}") for column in shown]
        if any(cells):
            seeds = max(cell["seeds"] for cell in cells if cell)
            name = said if seeds == 1 else f"{said}, mean of {seeds} seeds"
            rows.append(f"| {name} | " + " | ".join(_shown(cell) for cell in cells) + " |")
    for said, values in QUOTED:
        found = [values.get(column, "") for column in shown]
        known = [summary[value]["value"] if value in summary else value for value in found]
        rows.append(f"| {said} | " + " | ".join(v if isinstance(v, str) else f"{v:.3f}" for v in known) + " |")
    return rows


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


def fill(page: str, summary: dict[str, dict[str, Any]]) -> str:
    """Returns a page with every marked table written anew."""
    written = {name: partial(table, summary, name) for name in TABLES}
    written |= {"ablation": ablation, "commands": partial(commands, summary)}
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
