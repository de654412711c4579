"""Where the source of plugins is, and what is in it: told without running any of it."""

import hashlib
import importlib.util
import re
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from capsmith.core.errors import PluginError

GROUP = "capsmith.plugins"
"""The entry-point group in which installed packages name their plugins."""
_LARGEST = 10 * 1024 * 1024  # bytes of one file


@dataclass(frozen=True)
class Source:
    """The Python files of a plugin.

    Attributes:
        place: The file, or the folder of a package; None where there is none, as in a notebook.
        files: All of them, in order.
    """

    place: Path | None = None
    files: tuple[Path, ...] = ()

    @cached_property
    def sha256(self) -> str:
        """64 hexadecimal digits: of one file, or of the names and digests of several; empty without any."""
        digests = {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in self.files}
        if self.place is None or len(digests) < 2:
            return "".join(digests.values())
        lines = [f"{file.relative_to(self.place).as_posix()} {digest}\n" for file, digest in digests.items()]
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def __contains__(self, file: str) -> bool:
        return self.place is not None and Path(file).is_relative_to(self.place)


def read_source(path: Path) -> bytes:
    """Returns what a plugin's file says.

    Raises:
        PluginError: It cannot be read, or is too large to be source code.
    """
    if not path.is_file():
        raise PluginError(f"plugin {path}: {'that is a folder' if path.is_dir() else 'no such file'}")
    try:
        if (size := path.stat().st_size) > _LARGEST:
            raise PluginError(f"plugin {path}: {size:,} bytes are no source file")
        return path.read_bytes()
    except OSError as error:
        raise PluginError(f"plugin {path}: {error.strerror or error}") from error


def source_of(module: str, imported: Any = None) -> Source:
    """Returns the files of a module's top package, or its one file; nothing is imported.

    Args:
        module: Its name.
        imported: The module where it was imported: it may be none that can be found by its name.
    """
    try:
        spec = importlib.util.find_spec(module.split(".")[0])
    except (ImportError, ValueError):
        spec = None
    if spec is not None and spec.submodule_search_locations:
        place = Path(next(iter(spec.submodule_search_locations))).resolve()
        return Source(place, tuple(sorted(place.rglob("*.py"))))
    file = file_of(imported) or (Path(spec.origin).resolve() if spec is not None and spec.origin else None)
    return Source(file, (file,)) if file is not None and file.suffix == ".py" and file.is_file() else Source()


def file_of(module: Any) -> Path | None:
    """Returns a module's file; None where it has none."""
    file = getattr(module, "__file__", None)
    return Path(file).resolve() if isinstance(file, str) else None


def installed() -> dict[str, list[EntryPoint]]:
    """Returns the plugins that installed packages name, most often one of each name; none is loaded by this."""
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        if point not in found.setdefault(point.name, []):
            found[point.name].append(point)
    return dict(sorted(found.items()))


def wants_keras(name: str | Path) -> bool:
    """Returns whether a plugin imports Keras at its top, as far as its text tells.

    Args:
        name: A file, or the name of an installed plugin.
    """
    points = installed().get(str(name), [])
    files = [file for point in points for file in source_of(point.module).files] or [Path(name).expanduser()]
    return any(_KERAS.search(_beginning(file)) for file in files if file.is_file())


def _beginning(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(_LARGEST)
    except OSError:
        return b""  # whoever loads it will say why


_KERAS = re.compile(
    rb"^(?:from|import)\s+(?:keras|tensorflow|torch|jax|"
    rb"capsmith\.(?:decoders\.(?!config)|captioner|network|stepping|features\.(?:backbone|networks|small_cnn)))",
    re.MULTILINE,
)
