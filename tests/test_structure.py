"""The shape of the package, computed from its import statements: order of packages, no circles, small files."""

import ast
import re
import statistics
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "capsmith"
ORDER = re.compile(r"<!-- package order -->\s*`([^`]+)`")
"""The line of docs/architecture.md that states the order, from the top down: rows by ``>``, equals by a comma."""


class Structure:
    """The modules of a package and what each one imports, function-level imports included.

    Args:
        root: The folder of the package.
        order: Its parts from the top down; parts in one row do not import each other.
    """

    def __init__(self, root: Path, order: list[list[str]]) -> None:
        self.root, self.order = root, order
        self.files = {_module(path, root): path for path in sorted(root.rglob("*.py"))}
        self.imports = {module: self._imports_of(module, path) for module, path in self.files.items()}

    def _imports_of(self, module: str, path: Path) -> set[str]:
        imported: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                for alias in node.names:
                    imported |= {f"{node.module}.{alias.name}", node.module}
            elif isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
        prefix = self.root.name
        below = {name.removeprefix(prefix).removeprefix(".") for name in imported if name.split(".")[0] == prefix}
        exact = {name for name in below if name in self.files}
        # "from a.b import c" names both a.b and a.b.c: where c is a module, a.b is only its folder
        folders = {name for name in exact if any(other.startswith(f"{name}.") for other in exact)}
        return {name for name in exact - folders if name and name != module}

    def part(self, module: str) -> str | None:
        """Returns the part of the order that a module belongs to; None for the entry points beside it.

        The settings of the parts above the root config, ``training.config`` for example, count as part of it.
        """
        top, *rest = module.split(".")
        rows = [part for row in self.order for part in row]
        if top not in rows:
            return None
        above = "config" in rows and self._row(top) < self._row("config")
        return "config" if above and rest[-1:] == ["config"] else top

    def _row(self, part: str) -> int:
        return next(number for number, row in enumerate(self.order) if part in row)

    def upward_imports(self) -> list[str]:
        """Returns the imports that point up in the order, or sideways in a row, as in ``a.b -> c.d``."""
        wrong = []
        for module, imported in self.imports.items():
            for other in sorted(imported):
                here, there = self.part(module), self.part(other)
                if here is None or there is None or here == there:
                    continue
                if self._row(here) >= self._row(there):
                    wrong.append(f"{module} -> {other}")
        return wrong

    def circles(self) -> list[list[str]]:
        """Returns the groups of files that import each other in a circle."""
        reachable = {module: self._reachable(module) for module in self.files}
        groups = {
            tuple(sorted(other for other in reachable[module] if module in reachable[other]))
            for module in self.files
            if module in reachable[module]
        }
        return [list(group) for group in sorted(groups)]

    def _reachable(self, module: str) -> set[str]:
        found: set[str] = set()
        waiting = [*self.imports[module]]
        while waiting:
            if (name := waiting.pop()) not in found:
                found.add(name)
                waiting += self.imports[name]
        return found

    def longest_chain(self) -> int:
        """Returns the number of packages on the longest chain of imports between packages."""
        edges: dict[str, set[str]] = {}
        for module, imported in self.imports.items():
            for other in imported:
                here, there = self.part(module), self.part(other)
                if here and there and here != there:
                    edges.setdefault(here, set()).add(there)
        depths: dict[str, int] = {}

        def depth(part: str, above: tuple[str, ...]) -> int:
            assert part not in above, f"a circle of packages: {' -> '.join([*above, part])}"
            if part not in depths:
                depths[part] = 1 + max((depth(other, (*above, part)) for other in edges.get(part, ())), default=0)
            return depths[part]

        return max(depth(part, ()) for part in edges)

    def lengths(self) -> dict[str, int]:
        """Returns the number of lines of each file."""
        return {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in self.files.items()}


def _module(path: Path, root: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix("__init__").removesuffix(".")


def stated_order() -> list[list[str]]:
    """Reads the order of packages from docs/architecture.md."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    match = ORDER.search(text)
    assert match, "docs/architecture.md states no package order"
    return [[part.strip() for part in row.split(",")] for row in match[1].split(">")]


@pytest.fixture(scope="module")
def structure():
    return Structure(PACKAGE, stated_order())


def test_the_stated_order_names_every_package(structure):
    packages = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()} | {"config"}
    assert packages - {part for row in structure.order for part in row} == set()


def test_there_are_few_top_level_entries():
    entries = [path for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()]
    assert len(entries) <= 14


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
