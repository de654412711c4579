"""The pages state what results/summary.json states, and every figure has a command."""

import json

import pytest

from tools import table_rows, tables
from tools.paths import ROOT, read_summary

SUMMARY = read_summary()


@pytest.mark.parametrize("page", tables.PAGES, ids=lambda path: path.name)
def test_pages_are_up_to_date(page):
    text = page.read_text(encoding="utf-8")
    assert "<!-- table " in text
    assert tables.fill(text, SUMMARY) == text


def test_every_table_stands_on_a_page():
    text = "".join(page.read_text(encoding="utf-8") for page in tables.PAGES)
    assert [name for name in tables.TABLES if f"<!-- table {name} -->" not in text] == []


def test_every_figure_stands_on_a_page_with_its_command():
    """A changed value or command changes a page."""
    pages = {page: page.read_text(encoding="utf-8") for page in tables.PAGES}
    for name in ("score.seconds_5000", "flickr8k.best.cider", "robust.kills_tried", "speed.decode_vs_notebook"):
        for change in ({"value": 12345.0}, {"command": "another"}):
            changed = {**SUMMARY, name: {**SUMMARY[name], **change}}
            assert any(tables.fill(text, changed) != text for text in pages.values()), (name, change)


def test_every_figure_has_a_value_and_a_command():
    for name, entry in SUMMARY.items():
        assert isinstance(entry["value"], int | float) and not isinstance(entry["value"], bool), name
        assert entry["command"], name


def test_a_figure_names_a_kept_score_for_each_seed():
    for name, entry in SUMMARY.items():
        assert len(entry.get("scores", [])) in (0, entry["seeds"]), name
        assert all((ROOT / path).is_file() for path, *_ in entry.get("scores", [])), name


def test_the_ablation_shows_the_largest_gain_first(tmp_path, monkeypatch):
    row = {"dev_bleu4": 0.2, "dev_cider": 0.5, "dev_cider_change": 0.0}
    rows = {"base": row, "worse": row | {"dev_cider_change": -0.0123}, "better": row | {"dev_cider_change": 0.02}}
    (tmp_path / "ablation.json").write_text(json.dumps({"rows": rows}))
    monkeypatch.setattr(table_rows, "ABLATION", tmp_path / "ablation.json")
    shown = tables.fill("<!-- table ablation -->\n<!-- end -->", {}).splitlines()[3:6]
    assert shown == [
        "| better | 0.200 | 0.500 | +0.020 |",
        "| **base** | 0.200 | 0.500 |  |",
        "| worse | 0.200 | 0.500 | -0.012 |",
    ]
