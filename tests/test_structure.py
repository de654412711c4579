"""The shape of the package, computed from its import statements: order of packages, no circles, small files."""

import statistics

import pytest

from tools.structure import PACKAGE, Structure, stated_order, top_level_entries


@pytest.fixture(scope="module")
def structure():
    return Structure(PACKAGE, stated_order())


def test_the_stated_order_names_every_package(structure):
    packages = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()} | {"config"}
    assert packages - {part for row in structure.order for part in row} == set()


def test_there_are_few_top_level_entries():
    assert len(top_level_entries()) <= 14


def test_imports_point_down(structure):
    assert structure.upward_imports() == []


def test_no_files_import_each_other_in_a_circle(structure):
    assert structure.circles() == []


def test_the_longest_chain_of_packages(structure):
    assert structure.longest_chain() <= 9


def test_files_are_small(structure):
    lengths = structure.lengths()
    assert {name: lines for name, lines in lengths.items() if lines > 300} == {}
    assert statistics.median(lengths.values()) <= 130


# --- the checker finds what is planted --------------------------------------------------------------------------------


@pytest.fixture
def planted(tmp_path):
    """A package with a circle of files, an upward import in a function, and a module imported as a name."""
    files = {
        "__init__.py": "",
        "top/__init__.py": "",
        "top/a.py": "from fake.top import b\n",
        "top/b.py": "def f():\n    from fake.top.a import f\n",
        "top/config.py": "from fake.bottom.tools import tool\n",
        "config.py": "from fake.top.config import x\nimport fake.bottom.tools\n",
        "bottom/__init__.py": "",
        "bottom/tools.py": "def f():\n    from fake.top import a\n",
    }
    for name, content in files.items():
        path = tmp_path / "fake" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return tmp_path / "fake"


def test_the_checker_finds_a_planted_circle_and_an_upward_import(planted):
    structure = Structure(planted, [["top"], ["config"], ["bottom"]])
    assert structure.upward_imports() == ["bottom.tools -> top.a"]
    assert structure.circles() == [["top.a", "top.b"]]
    (planted / "bottom" / "tools.py").write_text("")
    structure = Structure(planted, [["top"], ["config"], ["bottom"]])
    assert structure.upward_imports() == [] and structure.longest_chain() == 2
    assert structure.part("top.config") == "config" and structure.part("__main__") is None


def test_the_checker_finds_an_import_sideways(planted):
    (planted / "bottom" / "tools.py").write_text("")
    assert Structure(planted, [["top", "bottom"], ["config"]]).upward_imports() == [
        "config -> bottom.tools",
        "top.config -> bottom.tools",
    ]
