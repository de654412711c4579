"""Writes the tables of the README and the docs from ``results/summary.json``, so that no figure is kept twice.

    python -m tools.tables [--check]

A table stands between ``<!-- table NAME -->`` and ``<!-- end -->``; ``TABLES`` lists the names. ``--check`` changes
nothing and exits with 1 when a page is out of date.
"""

import argparse
import sys
from collections.abc import Callable
from functools import partial

from tools import paths, renamed_keys, scale_rows, table_rows
from tools.table_rows import Summary, figures

PAGES = tuple(
    paths.ROOT / page
    for page in (
        "README.md",
        "docs/results.md",
        "docs/benchmarks.md",
        "docs/reliability.md",
        "docs/architecture.md",
        "docs/starter.md",
        "docs/serving.md",
        "docs/studio.md",
        "docs/embedding.md",
        "docs/recommend.md",
        "docs/search.md",
        "docs/decoding.md",
        "docs/detection.md",
        "docs/describe.md",
        "docs/grounding.md",
        "docs/hub_encoders.md",
        "docs/scale.md",
        "CHANGELOG.md",
        "results/README.md",
    )
)
PREFIXES = {
    "quickstart": ("quickstart.",),
    "score": ("score.", "human."),
    "machine": ("train.", "cli.", "finetune.", "scripts."),
    "robust": ("robust.", "batch."),
    "speed": ("speed.",),
    "compare": ("compare.",),
    "house": ("house.",),
    "starter": ("starter.", "export.", "folder.", "web."),
    "serve": ("serve.",),
    "studio": ("studio.",),
    "retrieval": ("retrieval.",),
    "recommend": ("recommend.",),
    "search": ("index.", "search."),
    "rerank": ("rerank.",),
    "encoders": ("encoder.",),
    "detect": ("detect.",),
    "hub": ("hub.",),
    "describe": ("describe.",),
    "grounding": ("grounding.",),
    "scale": ("ray.", "scale.", "dist.", "shards."),
}
"""Tables of figures by the beginnings of their names."""
TABLES: dict[str, Callable[[Summary], str]] = {
    **{name: partial(figures, prefixes=prefixes) for name, prefixes in PREFIXES.items()},
    "flickr8k": table_rows.scores,
    "flickr8k_short": table_rows.short_scores,
    "people": table_rows.people,
    "cost": table_rows.cost,
    "replaced": table_rows.replaced,
    "ablation": table_rows.ablation,
    "commands": table_rows.commands,
    "renamed": renamed_keys.table,
    "forms": table_rows.forms,
    "scale_rates": scale_rows.rates,
    "scale_costs": scale_rows.costs,
    "scale_assumed": scale_rows.assumed,
}


def fill(page: str, summary: Summary) -> str:
    """Returns a page with every marked table written again."""
    for name, write in TABLES.items():
        start, end = f"<!-- table {name} -->", "<!-- end -->"
        before, marker, rest = page.partition(start)
        if marker:
            _, _, after = rest.partition(end)
            page = f"{before}{start}\n{write(summary)}\n{end}{after}"
    return page


def main() -> int:
    """Writes the pages, or checks them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when a page is out of date")
    args = parser.parse_args()
    summary = paths.read_summary()
    before = {page: page.read_text(encoding="utf-8") for page in PAGES}
    after = {page: fill(text, summary) for page, text in before.items()}
    if args.check:
        return int(before != after)
    for page, text in after.items():
        page.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
