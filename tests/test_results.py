"""The README says what results/summary.json says, and every figure has a command."""

import importlib.util
import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SUMMARY = json.loads((ROOT / "results" / "summary.json").read_text(encoding="utf-8"))


def tables():
    spec = importlib.util.spec_from_file_location("tables", ROOT / "results" / "tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_are_up_to_date():
    pages = tables().PAGES
    assert len(pages) == 2
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert tables().fill(text, SUMMARY) == text, page


def test_another_figure_would_be_noticed():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    name = next(iter(SUMMARY))
    changed = {**SUMMARY, name: {**SUMMARY[name], "value": 12345.0}}
    assert tables().fill(readme, changed) != readme


def test_another_command_would_be_noticed():
    page = (ROOT / "results" / "README.md").read_text(encoding="utf-8")
    name = next(iter(SUMMARY))
    changed = {**SUMMARY, name: {**SUMMARY[name], "command": "another"}}
    assert tables().fill(page, changed) != page


def test_every_figure_has_a_value_and_a_command():
    for name, entry in SUMMARY.items():
        assert isinstance(entry["value"], int | float) and not isinstance(entry["value"], bool), name
        assert entry["command"], name


def test_figures_agree_with_the_scores_kept_beside_them():
    """Scores in the summary are those in the kept reports, or their mean over seeds, to the last digit shown."""
    for name, entry in SUMMARY.items():
        found = []
        for place, *keys in entry.get("scores", []):
            kept = json.loads((ROOT / place).read_text(encoding="utf-8"))
            for key in keys:
                kept = kept[key]
            found.append(kept)
        assert not found or (abs(sum(found) / len(found) - entry["value"]) < 1e-9 and len(found) == entry["seeds"]), (
            name
        )


def test_the_ablation_shows_the_largest_gain_first(tmp_path, monkeypatch):
    row = {"dev_bleu4": 0.2, "dev_cider": 0.5, "dev_cider_change": 0.0}
    rows = {"base": row, "worse": row | {"dev_cider_change": -0.0123}, "better": row | {"dev_cider_change": 0.02}}
    (tmp_path / "ablation.json").write_text(json.dumps({"rows": rows}))
    module = tables()
    monkeypatch.setattr(module, "ABLATION", tmp_path / "ablation.json")
    shown = module.fill("<!-- table ablation -->\n<!-- end -->", {}).splitlines()[3:6]
    assert shown == [
        "| better | 0.200 | 0.500 | +0.020 |",
        "| **base** | 0.200 | 0.500 |  |",
        "| worse | 0.200 | 0.500 | -0.012 |",
    ]
