"""Atomic writes: a file appears under its name only when it is complete."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from capsmith.core.errors import CapsmithError, ConfigError
from capsmith.core.readers.json_files import read_json as read_json
from capsmith.core.temporary import temporary_file


@contextlib.contextmanager
def atomic(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Opens a temporary file that is renamed to its final name when it is complete and on disk.

    Args:
        path: The final name; its folder is created if missing.
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
    """Returns an argument as a path. An empty string is an error: ``Path`` would turn it into the current folder.

    Raises:
        ConfigError: The path is empty.
    """
    if path == "":
        raise ConfigError(f"{name}: the path is empty; write . for the current folder")
    return Path(path)
