"""The source files of plugins, inspected without running them."""

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
_MAX_FILE_SIZE = 10 * 1024 * 1024  # bytes


@dataclass(frozen=True)
class Source:
    """The Python files of a plugin.

    Attributes:
        place: The file, or the folder of a package; None if there is none, as in a notebook.
        files: All files, sorted.
    """

    place: Path | None = None
    files: tuple[Path, ...] = ()

    @cached_property
    def sha256(self) -> str:
        """Digest of the file, or of the names and digests of several: 64 hexadecimal digits; empty without files."""
        digests = {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in self.files}
        if self.place is None or len(digests) < 2:
            return "".join(digests.values())
        lines = [f"{file.relative_to(self.place).as_posix()} {digest}\n" for file, digest in digests.items()]
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def __contains__(self, file: str) -> bool:
        return self.place is not None and Path(file).is_relative_to(self.place)


def read_source(path: Path) -> bytes:
    """Returns the content of a plugin file.

    Raises:
        PluginError: The file cannot be read, or is too large for source code.
    """
    if not path.is_file():
        raise PluginError(f"plugin {path}: {'that is a folder' if path.is_dir() else 'no such file'}")
    try:
        if (size := path.stat().st_size) > _MAX_FILE_SIZE:
            raise PluginError(f"plugin {path}: {size:,} bytes are too many for a source file")
        return path.read_bytes()
    except OSError as error:
        raise PluginError(f"plugin {path}: {error.strerror or error}") from error


def source_of(module: str, imported: Any = None) -> Source:
    """Returns the files of a module's top-level package, or its single file. Nothing is imported.

    Args:
        module: The name of the module.
        imported: The module itself, if it was imported: its name alone may not identify its file.
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
    """Returns the file of a module, or None."""
    file = getattr(module, "__file__", None)
    return Path(file).resolve() if isinstance(file, str) else None


def installed() -> dict[str, list[EntryPoint]]:
    """Returns the plugins of installed packages by name, usually one of each name. None is loaded."""
    points: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        if point not in points.setdefault(point.name, []):
            points[point.name].append(point)
    return dict(sorted(points.items()))


def imports_keras(name: str | Path) -> bool:
    """Returns whether the source of a plugin imports Keras at module level.

    Args:
        name: A file, or the name of an installed plugin.
    """
    points = installed().get(str(name), [])
    files = [file for point in points for file in source_of(point.module).files] or [Path(name).expanduser()]
    return any(_KERAS.search(_start_of(file)) for file in files if file.is_file())


def _start_of(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(_MAX_FILE_SIZE)
    except OSError:
        return b""  # loading it reports the error


_KERAS = re.compile(
    rb"^(?:from|import)\s+(?:keras|tensorflow|torch|jax|"
    rb"capsmith\.(?:models\.(?:decoders\.(?!config)|captioner|caption_model)|vision\.(?:encoder|networks|small_cnn)\b))",
    re.MULTILINE,
)
