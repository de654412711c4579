"""Atomic writes: a file appears under its name only when it is complete."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from capsmith.core.errors import CapsmithError, CheckpointError, ConfigError
from capsmith.core.outputs import COPIES, listed_copies
from capsmith.core.readers.json_files import read_json as read_json
from capsmith.core.temporary import temporary_file

RUN_FILES = (
    "config.yaml",
    "versions.json",
    "vocabulary.json",
    "captioner.json",
    "encoder.json",
    "encoder.keras",
    "encoder.weights.h5",
    "adapted.json",
    "adapting.npz",
    "model.weights.h5",
    "state.npz",
    "memory.npz",
    "domain.npz",
    "plugins.json",
    "history.csv",
    "history.png",
    "log.txt",
)
"""What a training writes into a run directory, or into a folder of one of its encoders."""
_REPORT = ("index.html", "predictions.jsonl", "scores.json")
_PARTS = ("encoder_*", "adapted_*", "start", "report", "report/*", "report/*/images", "report/images")


@contextlib.contextmanager
def atomic(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Opens a temporary file that is renamed to its final name when it is complete and on disk.

    Args:
        path: The final name; its folder is created when missing.
        mode: ``"w"`` (UTF-8 text) or ``"wb"``.

    Raises:
        CapsmithError: The disk is full, or the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary_file(path) as (handle, temporary):
            # a lone surrogate, from a file name that is not UTF-8, is written as \udce9, its form in JSON
            encoding: dict[str, Any] = {} if "b" in mode else {"encoding": "utf-8", "errors": "backslashreplace"}
            with os.fdopen(handle, mode, **encoding) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(temporary, 0o666 & ~umask)
            os.replace(temporary, path)
    except OSError as error:
        reason = "its folder is a file" if isinstance(error, FileExistsError) else error.strerror or error
        raise CapsmithError(f"cannot write {path}: {reason}") from error


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text atomically."""
    with atomic(path) as file:
        file.write(text)


def write_json(path: Path, value: Any) -> None:
    """Writes JSON atomically, indented, with a newline at the end."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def path_argument(path: str | Path, name: str) -> Path:
    """Returns an argument as a path. An empty string is an error: ``Path`` would take it for the current folder.

    Raises:
        ConfigError: It is empty.
    """
    if path == "":
        raise ConfigError(f"{name}: an empty path; for the current folder write .")
    return Path(path)


def clear_run(run: Path) -> None:
    """Removes what a training and its reports wrote into a run directory, and no other file; the lock stays.

    Raises:
        CheckpointError: A file cannot be removed.
    """
    folders = [part for pattern in _PARTS for part in run.glob(pattern) if part.is_dir() and not part.is_symlink()]
    try:
        for folder in sorted({*folders}, reverse=True):  # what is inside before what it is in
            if folder.name == "start":
                clear_run(folder)
            for name in _made_in(folder):
                (folder / name).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # other files are in it
                folder.rmdir()
        for name in RUN_FILES:
            (run / name).unlink(missing_ok=True)
    except OSError as error:
        raise CheckpointError(f"cannot clear {run}: {error.strerror or error}") from error


def _made_in(folder: Path) -> list[str]:
    """Returns the names that we give files in a folder of a run."""
    if folder.name == "images":
        copies = listed_copies(folder)
        return [] if copies is None else [*copies, COPIES]
    return [*_REPORT] if "report" in (folder.name, folder.parent.name) else [*RUN_FILES, ".lock"]


def require_run(run: Path) -> None:
    """Checks that a directory is a run.

    Raises:
        CheckpointError: It is missing, or holds no config.
    """
    if not run.is_dir():
        raise CheckpointError(f"no run directory {run} (a run is what capsmith train --run DIR makes)")
    if not (run / "config.yaml").is_file():
        raise CheckpointError(f"{run} is not a run: it holds no config.yaml")
