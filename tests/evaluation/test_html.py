import os
import re
import tomllib
from importlib import resources
from pathlib import Path

from capsmith.core.pages.stylesheet import stylesheet
from capsmith.evaluation.html import write_page

ROOT = Path(__file__).resolve().parents[2]


def test_page_contains_the_shared_stylesheet_and_its_own(tmp_path):
    page = write_page(tmp_path / "index.html", "page.html", "title", notes=[]).read_text(encoding="utf-8")
    own = resources.files("capsmith.evaluation").joinpath("templates/pages.css").read_text(encoding="utf-8")
    assert stylesheet() in page and own in page and "<" not in own


def test_no_template_marks_a_value_as_safe():
    """Only the stylesheet and the generator tag, which are constants, are inserted unescaped."""
    folder = resources.files("capsmith.evaluation").joinpath("templates")
    texts = {entry.name: entry.read_text(encoding="utf-8") for entry in folder.iterdir()}
    assert {"page.html", "report.html", "dataset.html", "variants.html"} <= set(texts)
    raised = re.findall(r"{{(.*?)\|\s*safe", " ".join(texts.values()))
    assert sorted(text.strip() for text in raised) == ["generator", "stylesheet()"]
    assert not any(word in text for text in texts.values() for word in ("autoescape", "Markup"))


def test_names_that_are_not_utf8_are_shown(tmp_path):
    name = os.fsdecode(b"caf\xe9<b>")
    text = write_page(tmp_path / "index.html", "page.html", name, notes=[name]).read_text(encoding="utf-8")
    assert text.count("caf\\udce9&lt;b&gt;") == 3


def test_wheel_and_sdist_include_all_files_of_the_package():
    """hatchling includes every file below a package, unless a setting narrows the selection."""
    targets = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
    narrowing = {"exclude", "include", "only-include", "ignore-vcs"}
    assert targets["wheel"]["packages"] == ["src/capsmith"] and not narrowing & set(targets["wheel"])
    assert "src" in targets["sdist"]["include"] and "exclude" not in targets["sdist"]
    assert not any(
        pattern in ("pages", "pages/", "templates", "templates/", "*.css", "*.html")
        for pattern in (ROOT / ".gitignore").read_text().split()
    )
