"""Writes the README's tables from results/summary.json, so that no figure stands in two places.

A table stands between ``<!-- table NAME -->`` and ``<!-- end -->``; NAME is one of ``TABLES`` below.
``python results/tables.py --check`` changes nothing and fails when the README is not up to date.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SUMMARY = ROOT / "results" / "summary.json"
README = ROOT / "README.md"

TABLES: dict[str, tuple[str, ...]] = {
    "quickstart": ("quickstart.",),
    "flickr8k": ("flickr8k.",),
    "score": ("score.", "human."),
    "machine": ("train.", "cli.", "badinput."),
}


def table(summary: dict[str, dict[str, Any]], prefixes: tuple[str, ...]) -> str:
    """Returns a Markdown table of the figures whose names start with one of the prefixes."""
    rows = ["| figure | value | what it is | command |", "|---|---|---|---|"]
    for name, entry in summary.items():
        if name.startswith(prefixes):
            value = f"{entry['value']:,.4g}" if isinstance(entry["value"], float) else f"{entry['value']:,}"
            unit = f" {entry['unit']}" if entry.get("unit") else ""
            rows.append(f"| `{name}` | **{value}**{unit} | {entry.get('note', '')} | `{entry['command']}` |")
    return "\n".join(rows)


def fill(readme: str, summary: dict[str, dict[str, Any]]) -> str:
    """Returns the README with every marked table written anew."""
    for name, prefixes in TABLES.items():
        start, end = f"<!-- table {name} -->", "<!-- end -->"
        before, found, rest = readme.partition(start)
        if found:
            _, _, after = rest.partition(end)
            readme = f"{before}{start}\n{table(summary, prefixes)}\n{end}{after}"
    return readme


def main() -> int:
    """Writes the README, or checks it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when the README is out of date")
    args = parser.parse_args()
    old = README.read_text(encoding="utf-8")
    new = fill(old, json.loads(SUMMARY.read_text(encoding="utf-8")))
    if args.check:
        return int(old != new)
    README.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
