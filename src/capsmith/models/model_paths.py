"""Recognises the folders and files of models. It imports neither Keras nor pydantic."""

from pathlib import Path

from capsmith.core.starter import is_starter
from capsmith.models.export_folder import ExportFolder
from capsmith.models.run import RunDirectory

YAML = (".yaml", ".yml")
"""Endings of the file of a saved ensemble."""


def is_model(path: str | Path) -> bool:
    """Returns whether a path is a run directory, an export, a saved ensemble, or the name of the starter."""
    if is_starter(path):
        return True
    run = RunDirectory(Path(path))
    return (
        run.is_run
        or run.is_ensemble
        or ExportFolder(run.path).is_export
        or (run.path.suffix.lower() in YAML and run.path.is_file())
    )
