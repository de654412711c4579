"""The config with which a run was trained, and the overrides that a trained model allows."""

from collections.abc import Sequence
from pathlib import Path

from capsmith.config import KIND_NAMES, AnyConfig, C, Config, config_kind, validate
from capsmith.core.errors import CheckpointError, ConfigError, one_line
from capsmith.core.migrations import migrate
from capsmith.core.overrides import check_overrides
from capsmith.core.plugin_requirements import unloaded_components
from capsmith.core.scopes import Scope, field_scope
from capsmith.core.yaml_io import read_yaml
from capsmith.models.config_changes import with_overrides
from capsmith.models.export_config import export_config
from capsmith.models.export_folder import ExportFolder
from capsmith.models.run import RunDirectory

_OF_THE_FIRST = frozenset({Scope.DECODING, Scope.EVALUATION})  # in an ensemble, the first run decides these


def run_config(run: str | Path, overrides: Sequence[str] = (), require_all: bool = False) -> Config:
    """Reads the resolved config of a captioner: a run or an export. Old configs are migrated.

    Arguments and errors as ``any_run_config``; CheckpointError also for the run of a joint embedding.
    """
    return of_run(run, any_run_config(run, overrides, require_all), Config)


def of_run(run: str | Path, config: AnyConfig, kind: type[C]) -> C:
    """Returns the config of a run that must be of one kind.

    Raises:
        CheckpointError: It is of another.
    """
    if not isinstance(config, kind):
        raise CheckpointError(f"{run} is {KIND_NAMES[config.kind]}, but this needs {KIND_NAMES[kind.kind]}")
    return config


def any_run_config(run: str | Path, overrides: Sequence[str] = (), require_all: bool = False) -> AnyConfig:
    """Reads the resolved config of a run of any kind, or of an export. Configs of earlier versions are migrated.

    Args:
        run: The run directory.
        overrides: Changes to fields that may change after training, such as ``"decoding.type=beam"``.
        require_all: Also refuse a run whose dataset, search or metrics come from plugins that are not loaded.

    Raises:
        CheckpointError: The directory is missing or is not a run, its config is damaged, or it requires a plugin.
        ConfigError: An override is not valid, or would change the model.
    """
    if ExportFolder(Path(run)).is_export:
        return export_config(run, overrides)
    directory = RunDirectory(Path(run))
    directory.require()
    unloaded = unloaded_components(directory.plugins, require_all)
    path = directory.config
    try:
        values = read_yaml(path)
        kind = config_kind(values, str(path))
        values = migrate(values, kind)
        if missing := [name for name in kind.model_fields if name not in values and name not in _ADDED_LATER]:
            raise ConfigError(f"{path} is damaged: it lacks {', '.join(missing)}")
        trained = validate(values, str(path), unloaded)
    except ConfigError as error:
        raise CheckpointError(f"{run} cannot be used: {one_line(error)}") from error
    trained = _with_own_encoders(trained, directory)
    return with_overrides(trained, overrides, unloaded, run)


_ADDED_LATER = frozenset({"seed", "ensemble"})  # sections that the first version did not write


def run_configs(runs: Sequence[str | Path], overrides: Sequence[str] = (), require_all: bool = True) -> list[AnyConfig]:
    """Reads the configs of runs that form an ensemble. Decoding and evaluation follow the first run.

    Args:
        runs: The run directories.
        overrides: As for ``run_config``; those of decoding and evaluation apply to the first run only.
        require_all: As for ``run_config``.

    Raises:
        CheckpointError: As ``run_config``.
        ConfigError: As ``run_config``.
    """
    overrides = check_overrides(overrides)
    shared = [change for change in overrides if _section_scope(change) not in _OF_THE_FIRST]
    return [any_run_config(run, shared if number else overrides, require_all) for number, run in enumerate(runs)]


def _section_scope(override: str) -> Scope | None:
    return field_scope(Config, override.partition("=")[0].strip().split(".")[0])


def _with_own_encoders(config: AnyConfig, run: RunDirectory) -> AnyConfig:
    """Uses the run's copies of adapted encoders whose original folders no longer exist."""
    if not any(encoder.pretrain_on_words for encoder in config.encoders):
        return config
    places = zip(config.encoders, run.encoders(len(config.encoders)), strict=True)
    return config.adapted_into(
        [
            folder.path if not Path(encoder.origin).exists() and folder.pretraining.exists() else None
            for encoder, folder in places
        ]
    )
