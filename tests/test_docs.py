"""The pages: links and anchors resolve, generated pages are current, and commands, keys and file names exist."""

import argparse
import importlib.util
import json
import re
import shlex

import pytest
import yaml

from capsmith.cli import VERBS
from capsmith.config import load_config
from tools import config_reference
from tools.paths import ROOT

PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "results").rglob("*.md"), ROOT / "data" / "README.md"]
)
COMMANDED = [page for page in PAGES if page.name != "CHANGELOG.md" and page.parent != ROOT / "results"]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^]]*\]\(([^)\s]+)\)")
SECTIONS = "data|text|encoder|features|decoder|training|decoding|evaluation"


def name_of(page):
    return str(page.relative_to(ROOT))


def prose(page):
    """Returns a page without its code blocks."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page):
    """Returns the anchors that a code host gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page):
    broken = []
    for link in LINK.findall(prose(page)):
        path, _, anchor = link.partition("#")
        if re.match(r"\w+:", link):
            continue
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    return broken


def commands(page):
    """Yields the shell commands of a page's code blocks as lists of words."""
    for language, block in FENCE.findall(page.read_text(encoding="utf-8")):
        if language in ("", "bash", "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                for part in re.split(r"&&", line.partition("  #")[0]):
                    if part.strip().startswith(("capsmith ", "make ", "python -m ")):
                        yield shlex.split(part)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_resolve(page):
    assert broken_links(page) == []


def test_a_broken_link_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A title\n[a](page.md#a-title) [b](page.md#other) [c](missing.md) [d](https://example.org)\n")
    assert broken_links(page) == ["page.md#other", "missing.md"]


def test_the_configuration_page_is_current():
    assert config_reference.PAGE.read_text(encoding="utf-8") == config_reference.page(), (
        "run python -m tools.config_reference"
    )


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_every_page_is_in_the_contents():
    contents = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in (ROOT / "docs").glob("*.md") if f"({page.name})" not in contents] == ["README.md"]


def options(verb):
    """Returns the options of a verb."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--debug")
    importlib.import_module(f"capsmith.cli.{verb}").add_arguments(parser)
    return {option for action in parser._actions for option in action.option_strings}


@pytest.mark.parametrize("page", COMMANDED, ids=name_of)
def test_commands_exist(page):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for words in commands(page):
        if words[0] == "make":
            assert words[1] in targets, words
        elif words[0] == "python":
            assert importlib.util.find_spec(words[2]) is not None, words
        elif words[1] in VERBS:
            used = {re.sub(r"[\[\]]", "", word) for word in words if re.match(r"\[?--\w", word)}
            assert used <= options(words[1]), words


def documented_keys():
    """Returns the dotted keys of the configuration page."""
    found, path = set(), ""
    for line in config_reference.page().splitlines():
        if heading := re.match(r"##+ ([\w.]+)", line):
            path = heading[1]
        elif (row := re.match(r"\| `(\w+)` \|", line)) and path:
            found.add(f"{path}.{row[1]}")
    return found


@pytest.mark.parametrize("page", COMMANDED, ids=name_of)
def test_keys_exist(page):
    known = documented_keys()
    sections = {key.rpartition(".")[0] for key in known}
    used = set(re.findall(rf"(?<![\w./])((?:{SECTIONS})(?:\.\w+)+)(?!\w*\()", page.read_text(encoding="utf-8")))
    used = {key.replace("encoder.0.", "encoder.").replace("encoder.1.", "encoder.") for key in used}
    used -= {key for key in used if key.rpartition(".")[2] in ("py", "md", "yaml", "json", "csv")}
    used -= set(json.loads((ROOT / "results" / "summary.json").read_text(encoding="utf-8")))  # names of figures
    assert used <= known | sections


@pytest.mark.parametrize("page", COMMANDED, ids=name_of)
def test_files_exist(page):
    """Names of Python files in the text, such as `vision/joined.py`, are below the root or the package."""
    names = set(re.findall(r"`((?:\w+/)+\w+\.py)`", prose(page)))
    missing = [n for n in names if not (ROOT / n).exists() and not (ROOT / "src/capsmith" / n).exists()]
    assert [name for name in missing if not name.endswith("mine.py")] == []


@pytest.mark.parametrize("page", COMMANDED, ids=name_of)
def test_config_examples_are_valid(page):
    for language, block in FENCE.findall(page.read_text(encoding="utf-8")):
        values = yaml.safe_load(block) if language == "yaml" else {}
        if set(values) <= set(SECTIONS.split("|")) and values:
            base = yaml.safe_load((ROOT / "configs" / "quickstart.yaml").read_text(encoding="utf-8"))
            load_config(base | values)
