"""The run directory: everything that one training made, written so that nothing is lost half-way."""

import contextlib
import importlib.metadata
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from capsmith.errors import CapsmithError, CheckpointError
from capsmith.readers.json_files import read_json as read_json

_PACKAGES = ("capsmith", "keras", "tensorflow", "jax", "torch", "numpy", "pillow", "nltk")


@contextlib.contextmanager
def atomic(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Opens a file that takes its name only when all of it is on the disk.

    Args:
        path: The final name; its folder is made when missing.
        mode: ``"w"`` (UTF-8 text) or ``"wb"``.

    Raises:
        CapsmithError: The disk is full, or the folder cannot be written.
    """
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, mode, encoding=None if "b" in mode else "utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        why = "its folder is a file" if isinstance(error, FileExistsError) else error.strerror or error
        raise CapsmithError(f"cannot write {path}: {why}") from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text atomically."""
    with atomic(path) as file:
        file.write(text)


def write_json(path: Path, value: Any) -> None:
    """Writes JSON atomically, indented, with a newline at the end."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def versions() -> dict[str, str]:
    """Returns the versions of Python, the platform and the packages that numbers depend on."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


class Log:
    """Prints lines for people and keeps them in the run's ``log.txt``.

    Args:
        path: The log file; None prints only.
        quiet: Print nothing.
    """

    def __init__(self, path: Path | None = None, quiet: bool = False) -> None:
        self.path, self.quiet = path, quiet

    def __call__(self, line: str) -> None:
        """Prints and keeps one line."""
        if not self.quiet:
            print(line, file=sys.stderr, flush=True)
        if self.path is not None:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(line + "\n")
            except OSError as error:
                raise CapsmithError(f"cannot write {self.path}: {error.strerror or error}") from error


def require_run(run: Path) -> None:
    """Checks that a directory is a run.

    Raises:
        CheckpointError: It is missing, or holds no config.
    """
    if not run.is_dir():
        raise CheckpointError(f"no run directory {run} (a run is what capsmith train --run DIR makes)")
    if not (run / "config.yaml").is_file():
        raise CheckpointError(f"{run} is not a run: it holds no config.yaml")
