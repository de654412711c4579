"""The tables of results in Markdown, each made from the summary or from a file beside it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tools import paths
from tools.rows import HEADLINE, README_ROWS, ROWS

Summary = Mapping[str, dict[str, Any]]
ABLATION = paths.FLICKR8K / "ablation.json"
FORMS = paths.RESULTS / "benchmarks" / "exports.json"

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
"""Figures ``flickr8k.ROW.…`` of the table of scores."""
SHORT_COLUMNS = {name: COLUMNS[name] for name in ("bleu4", "meteor", "cider", "shuffled_cider")} | {"all_mb": "MB"}
"""Figures of the README's table."""
REPRODUCED = "others.show_and_tell_vgg16"
QUOTED: tuple[tuple[str, dict[str, float | str]], ...] = (
    (
        "*Show and Tell family, VGG16, highest CIDEr of 66 (re-scored)*",
        {name: f"{REPRODUCED}.{name}" for name in ("bleu1", "bleu2", "bleu3", "bleu4", "rouge", "cider")},
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
"""Rows of other authors: figures of the summary by name, or values as published.

† was never re-scored, and its scoring convention is unknown; ‡ is also quoted from memory.
"""
PEOPLE = {
    "bleu4_four_references": "BLEU-4",
    "cider_four_references": "CIDEr",
    "broken": "broken off",
    "repeats": "repetitive",
}
STATISTICS = {
    "words": "distinct words",
    "length": "length",
    "distinct_share": "distinct",
    "copied_share": "copied",
    "ungrammatical_by_rule_share": "ungrammatical, by rule",
    "odd_relation_share": "odd relation, by rule",
    "correct_share": "right",
    "partly_share": "partly right",
    "wrong_share": "wrong",
    "ungrammatical_share": "ungrammatical or absurd",
}
"""Figures ``reading.…_ROW``; the last four come from captions judged beside their images."""
COST = {"training_minutes": "training minutes", "all_parameters": "parameters", "all_mb": "MB"}


def commands(summary: Summary) -> str:
    """Returns every command below the names of the figures that it gives."""
    names_of: dict[str, list[str]] = {}
    for name, entry in summary.items():
        names_of.setdefault(entry["command"], []).append(name)
    lines = []
    for command, names in names_of.items():
        groups: dict[str, list[str]] = {}
        for name in names:
            group, _, figure = name.rpartition(".")
            groups.setdefault(group, []).append(figure)
        headings = [f"`{group}.` {', '.join(group_figures)}" for group, group_figures in groups.items()]
        lines += [" · ".join(headings), f"```\n{command}\n```"]
    return "\n".join(lines)


def scores(summary: Summary) -> str:
    """Returns all scores: our rows, then those of others."""
    lines = header("model", "training captions at decoding", *COLUMNS.values())
    for name, row in ROWS.items():
        cells = [_value(summary.get(f"flickr8k.{name}.{column}")) for column in COLUMNS]
        lines.append(line(_label(name), "yes" if row.uses_training_captions else "", *cells))
    for label, values in QUOTED:
        lines.append(line(label, "", *(_quoted(summary, values.get(column)) for column in COLUMNS)))
    return "\n".join(lines)


def short_scores(summary: Summary) -> str:
    """Returns the README's table: a few rows, a few scores."""
    lines = header("model", *SHORT_COLUMNS.values())
    for name, label in README_ROWS.items():
        cells = [_value(summary.get(f"flickr8k.{name}.{column}")) for column in SHORT_COLUMNS]
        mark = " \\*" if ROWS[name].uses_training_captions else ""
        lines.append(line(f"{label} (`{name}`){mark}", *cells))
    return "\n".join(lines)


def people(summary: Summary) -> str:
    """Returns the comparison with people: four references each, and properties of the captions."""
    known = [key for key in STATISTICS if any(name.startswith(f"reading.{key}_") for name in summary)]
    lines = header("model", *PEOPLE.values(), *(STATISTICS[key] for key in known))
    for name in HEADLINE:
        cells = [_value(summary.get(f"flickr8k.{name}.{key}")) for key in PEOPLE]
        lines.append(line(_label(name), *cells, *(_statistic(summary, key, name) for key in known)))
    human = [_value(summary.get(f"human.{key.removesuffix('_four_references')}")) for key in PEOPLE]
    statistics = (_statistic(summary, key, "people") for key in known)
    lines.append(line("*people, one against the other four*", *human, *statistics))
    return "\n".join(lines)


def cost(summary: Summary) -> str:
    """Returns the cost of each row, its test readings, and what the repository proves about the choice made on dev."""
    lines = header("model", *COST.values(), "test readings", "of these replaced", "dev choice verifiable from")
    log = paths.read_log()
    for name, row in ROWS.items():
        cells = [_value(summary.get(f"flickr8k.{name}.{column}")) for column in COST]
        readings = [entry for entry in log if entry.get("row") == name]
        replaced_count = sum(entry.get("replaced_by") is not None for entry in readings)
        lines.append(line(_label(name), *cells, str(len(readings)), str(replaced_count or ""), row.verifiable))
    return "\n".join(lines)


def replaced(_: Summary) -> str:
    """Returns the readings that are no longer shown, and their successors."""
    entries = {entry["id"]: entry for entry in paths.read_log()}
    lines = header("read as", "seed", "CIDEr", "BLEU-4", "replaced by", "CIDEr of its successor", "row today", "reason")
    for entry in entries.values():
        if (successor := entries.get(entry.get("replaced_by"))) is not None:
            values = [f"{entry['scores'][key]:.3f}" if key in entry["scores"] else "" for key in ("cider", "bleu4")]
            lines.append(
                line(
                    f"`{entry['kept_as'] or 'not kept'}`",
                    str(entry["seed"]),
                    *values,
                    f"`{successor['kept_as']}`",
                    f"{successor['scores']['cider']:.3f}",
                    f"`flickr8k.{entry['row']}`",
                    entry.get("why", ""),
                )
            )
    return "\n".join(lines)


def figures(summary: Summary, prefixes: Sequence[str]) -> str:
    """Returns a line for each figure whose name starts with a prefix."""
    lines = header("figure", "value", "what it is")
    for name, entry in summary.items():
        if not name.startswith(tuple(prefixes)):
            continue
        value = f"{entry['value']:,.4g}" if isinstance(entry["value"], float) else f"{entry['value']:,}"
        if "range" in entry:  # varies between runs: a single value would be misleading
            value = " to ".join(f"{bound:,.4g}" for bound in entry["range"])
        unit = f" {entry['unit']}" if entry.get("unit") else ""
        lines.append(line(f"`{name}`", f"**{value}**{unit}", entry.get("note", "")))
    return "\n".join(lines)


def ablation(_: Summary) -> str:
    """Returns the gain of each part of the recipe, the largest first."""
    rows = json.loads(ABLATION.read_text(encoding="utf-8"))["rows"]
    lines = header("changed", "dev BLEU-4", "dev CIDEr", "change")
    for name, row in sorted(rows.items(), key=lambda item: -item[1]["dev_cider_change"]):
        label = f"**{name}**" if name == "base" else name
        change = "" if name == "base" else f"{row['dev_cider_change']:+.3f}"
        lines.append(line(label, f"{row['dev_bleu4']:.3f}", f"{row['dev_cider']:.3f}", change))
    return "\n".join(lines)


def forms(_: Summary) -> str:
    """Returns size, times and memory of one captioner in each form that it was exported to."""
    lines = header("form", "MB", "load, s", "first caption, s", "ms an image", "peak memory, MB", "equal captions")
    for name, row in json.loads(FORMS.read_text(encoding="utf-8")).items():
        memory = f"{row['memory_mb']:.0f}" if "memory_mb" in row else ""
        times = [f"{row[key]:.2f}" if key in row else "" for key in ("load_s", "first_s")]
        lines.append(line(name, f"{row['mb']:.1f}", *times, f"{row['ms']:.1f}", memory, row["equal"]))
    return "\n".join(lines)


def _label(name: str) -> str:
    seeds = len(ROWS[name].folders)
    mean = f", mean of {seeds} seeds" if seeds > 1 else ""
    return f"{ROWS[name].label}{mean} (`{name}`)"


def header(*names: str) -> list[str]:
    """Returns the first lines of a Markdown table."""
    return [line(*names), "|---" * len(names) + "|"]


def line(*cells: str) -> str:
    """Returns a row of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def _quoted(summary: Summary, value: float | str | None) -> str:
    number = summary[value]["value"] if isinstance(value, str) and value in summary else value
    return f"{number:.3f}" if isinstance(number, float) else ""


def _statistic(summary: Summary, measure: str, name: str) -> str:
    entry = summary.get(f"reading.{measure}_{name}")
    if entry is None:
        return ""
    if measure == "words":
        return f"{entry['value']:,.0f}"
    return f"{entry['value']:.1f}" if measure == "length" else f"{entry['value']:.1%}"


def _value(entry: dict[str, Any] | None) -> str:
    if entry is None:
        return ""
    value = entry["value"]
    return f"{value:,}" if isinstance(value, int) else f"{value:.{1 if entry['unit'] else 3}f}"
