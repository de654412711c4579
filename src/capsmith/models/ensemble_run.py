"""Resolution of model paths to runs: one run, several, or a saved ensemble."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from capsmith.config import AnyConfig, Config
from capsmith.core.errors import CheckpointError, ConfigError, one_line
from capsmith.core.files import path_argument, write_text
from capsmith.core.overrides import check_overrides
from capsmith.core.schema import Settings, explain
from capsmith.core.starter import model_path
from capsmith.core.yaml_io import dump_yaml, read_yaml
from capsmith.models.export_folder import ExportFolder
from capsmith.models.model_paths import YAML as _YAML
from capsmith.models.model_paths import is_model as is_model
from capsmith.models.run import RunDirectory
from capsmith.models.run_config import any_run_config, of_run, run_config, run_configs

RunPaths = str | Path | Iterable[str | Path]
"""A run directory, an export, a saved ensemble, or several of them."""


class EnsembleFile(Settings):
    """A saved ensemble: ``ensemble.yaml`` in a directory, or any YAML file."""

    members: tuple[Path, ...] = Field(min_length=1)
    """Run directories, relative to the file. The first one decides decoding and evaluation."""
    average: bool = False
    """Average the weights of the members instead of their probabilities: for stages of one training."""
    set: tuple[str, ...] = ()
    """Changes to the config, such as ``decoding.beam_size=3``."""


@dataclass(frozen=True)
class ModelRuns:
    """The runs of a model.

    Attributes:
        runs: One run directory for each member.
        average: Whether the weights of the runs are averaged.
        report: Default folder of the evaluation report.
        overrides: Changes to the config.
    """

    runs: tuple[Path, ...]
    average: bool
    report: Path
    overrides: tuple[str, ...]

    @property
    def kind(self) -> str:
        """What the first run is: ``captioner`` or ``embedding``."""
        return any_run_config(self.runs[0]).kind

    @property
    def needs_keras(self) -> bool:
        """Whether one of them is a run; exports need no Keras."""
        return not all(ExportFolder(run).is_export for run in self.runs)

    def configs(self, require_all: bool = True) -> list[Config]:
        """Reads the config of each captioner, with the overrides; arguments and errors as ``run_configs``."""
        return [
            of_run(run, config, Config) for run, config in zip(self.runs, self.any_configs(require_all), strict=True)
        ]

    def any_configs(self, require_all: bool = True) -> list[AnyConfig]:
        """Reads the config of each run, of any kind; arguments and errors as ``run_configs``."""
        return run_configs(self.runs, self.overrides, require_all)


def find_runs(model: RunPaths, overrides: Sequence[str] = (), average: bool = False) -> ModelRuns:
    """Finds the runs of a model.

    Args:
        model: An export, or ``starter``, the one that comes with capsmith; a run directory, whose config may name an
            ``ensemble``; a saved ensemble (a directory with ``ensemble.yaml``, or a YAML file); or several of them,
            whose configs' ensembles are then ignored.
        overrides: Changes to the config; ``ensemble=[]`` uses a run without its ensemble.
        average: Average the weights of several runs.

    Raises:
        CheckpointError: No run exists, or a saved ensemble is damaged.
        ConfigError: A path is empty, or an override is invalid.
        TypeError: ``model`` is neither a path nor a list of paths.
    """
    if not isinstance(model, str | Path | Iterable):
        raise TypeError(f"a model is the path of a run directory, or a list of them, not {type(model).__name__}")
    overrides = check_overrides(overrides)
    listed = [model] if isinstance(model, str | Path) else model
    paths = [RunDirectory(model_path(path_argument(path, "run"))) for path in listed]
    if not paths:
        raise CheckpointError("no run given: the list is empty")
    if len(paths) == 1:
        return _expanded(paths[0], tuple(overrides), average)
    parts = [_saved(path) or ModelRuns((path.path,), False, path.report, ()) for path in paths]
    runs = tuple(run for part in parts for run in part.runs)
    first = ExportFolder(runs[0])
    report = (first if first.is_export else RunDirectory(runs[0])).report / ("average" if average else "ensemble")
    return ModelRuns(runs, average, report, (*parts[0].overrides, *overrides))


def save_ensemble(directory: RunDirectory, members: Sequence[str]) -> None:
    """Writes the file of a saved ensemble.

    Args:
        directory: The directory of the ensemble.
        members: Paths of the runs, relative to the directory.
    """
    write_text(directory.ensemble, dump_yaml({"members": list(members)}))


def _expanded(run: RunDirectory, overrides: tuple[str, ...], average: bool) -> ModelRuns:
    """Returns the runs that a single path stands for."""
    if (saved := _saved(run)) is not None:
        averaged = average or saved.average
        return ModelRuns(saved.runs, averaged, saved.report, (*saved.overrides, *overrides))
    if (export := ExportFolder(run.path)).is_export:
        run_config(run.path, overrides)  # reports mistakes
        if average:
            raise ConfigError(f"{run} is an export: only the weights of runs can be averaged")
        return ModelRuns((run.path,), False, export.report, overrides)
    config = any_run_config(run.path, overrides)
    others = [_beside(member.run, run.path) for member in config.ensemble]
    report = run.report / "average" if average and others else run.report
    return ModelRuns((run.path, *others), average, report, overrides)


def _beside(member: Path, run: Path) -> Path:
    """Returns the path of an ensemble member: the one in the config, or beside the run if both were moved."""
    moved = run.absolute().parent / member.name
    return moved if not member.exists() and moved.exists() else member


def _saved(path: RunDirectory) -> ModelRuns | None:
    """Reads a saved ensemble; returns None for a run directory."""
    if path.path.suffix.lower() in _YAML and path.path.is_file():
        file, report = path.path, RunDirectory(path.path.with_suffix("")).report
    elif path.is_ensemble:
        file, report = path.ensemble, path.report
    else:
        return None
    try:
        values: Any = read_yaml(file)
        ensemble = EnsembleFile.model_validate(values)
    except ConfigError as error:
        raise CheckpointError(f"{path} cannot be used: {one_line(error)}") from error
    except ValidationError as error:
        raise CheckpointError(f"{file} is not a saved ensemble: {'; '.join(explain(error, EnsembleFile))}") from None
    runs = tuple(file.parent / member for member in ensemble.members)
    return ModelRuns(runs, ensemble.average, report, ensemble.set)
