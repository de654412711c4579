"""The structure of the package, computed from its import statements: order of packages, circles, file sizes.

    python -m tools.structure [--enter]

Prints the figures that ``tests/test_structure.py`` bounds; ``--enter`` writes them into ``results/summary.json``.
"""

import argparse
import ast
import re
import statistics
from pathlib import Path

from tools import paths

PACKAGE = paths.ROOT / "src" / "capsmith"
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
                for alias in node.names:  # of "from a.b import c", the module is a.b.c if there is one, else a.b
                    inner = f"{node.module}.{alias.name}"
                    imported.add(inner if self._name(inner) in self.files else node.module)
            elif isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
        names = {self._name(name) for name in imported}
        return {name for name in names if name and name in self.files and name != module}

    def _name(self, imported: str) -> str | None:
        """Returns the name of a module inside the package; None for other packages."""
        top, _, rest = imported.partition(".")
        return rest if top == self.root.name else None

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
            if part in above:
                raise ValueError(f"a circle of packages: {' -> '.join([*above, part])}")
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
    text = (paths.ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    match = ORDER.search(text)
    if match is None:
        raise SystemExit("docs/architecture.md states no package order")
    return [[part.strip() for part in row.split(",")] for row in match[1].split(">")]


def top_level_entries() -> list[str]:
    """Returns the modules and packages directly in ``src/capsmith``."""
    return sorted(path.name for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists())


def figures() -> dict[str, tuple[float, str]]:
    """Returns each figure by name: its value and what it is."""
    structure = Structure(PACKAGE, stated_order())
    readme = (paths.ROOT / "README.md").read_text(encoding="utf-8")
    return {
        "house.top_entries": (len(top_level_entries()), "modules and packages directly in src/capsmith"),
        "house.package_floors": (structure.longest_chain(), "packages on the longest chain of imports"),
        "house.upward_imports": (len(structure.upward_imports()), "imports against the stated order of packages"),
        "house.file_circles": (len(structure.circles()), "groups of files that import each other"),
        "house.median_lines": (statistics.median(structure.lengths().values()), "lines of the median file of src"),
        "house.readme_lines": (len(readme.splitlines()), "lines of README.md"),
    }


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--enter", action="store_true", help="enter them into results/summary.json")
    args = parser.parse_args()
    summary = paths.read_summary()
    for name, (value, note) in figures().items():
        print(f"{name:24} {value:g}   {note}")
        entry = {"value": value, "unit": "", "command": "python -m tools.structure", "seeds": 1, "note": note}
        summary[name] = entry
    if args.enter:
        paths.write_summary(summary)


if __name__ == "__main__":
    main()
