import tomllib
from importlib import resources
from pathlib import Path

from capsmith.evaluation.html import stylesheet, write_page

ROOT = Path(__file__).resolve().parents[2]


def test_page_contains_the_style_sheet_of_the_package(tmp_path):
    css = resources.files("capsmith.evaluation").joinpath("assets/page.css").read_text(encoding="utf-8")
    assert css == stylesheet() and "--accent" in css and "<" not in css
    assert css in write_page(tmp_path / "index.html", "title", ["<p>part</p>"]).read_text(encoding="utf-8")


def test_wheel_and_sdist_include_all_files_of_the_package():
    """hatchling includes every file below a package, unless a setting narrows the selection."""
    targets = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
    narrowing = {"exclude", "include", "only-include", "ignore-vcs"}
    assert targets["wheel"]["packages"] == ["src/capsmith"] and not narrowing & set(targets["wheel"])
    assert "src" in targets["sdist"]["include"] and "exclude" not in targets["sdist"]
    assert not any(pattern in ("assets", "assets/", "*.css") for pattern in (ROOT / ".gitignore").read_text().split())
