"""The files that a config names. No command may overwrite them; see ``outputs``."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel


def input_files(settings: BaseModel) -> list[Path]:
    """Returns the files that a config names; those of a dataset also relative to its root."""
    root = getattr(getattr(settings, "data", None), "root", Path())
    return [path if path.is_absolute() else base / path for base in (Path(), root) for path in _paths(settings)]


def _paths(value: Any) -> list[Path]:
    if isinstance(value, Path):
        return [value]
    if isinstance(value, BaseModel):
        value = [getattr(value, name) for name in type(value).model_fields]
    return [path for item in value for path in _paths(item)] if isinstance(value, list | tuple) else []
