"""The configs of trained runs, and which of their keys may still be changed."""

from collections.abc import Sequence
from pathlib import Path

from capsmith.config import Config, difference, load_config, validate
from capsmith.core.errors import CheckpointError, ConfigError, one_line
from capsmith.core.overrides import overrides_list
from capsmith.core.yaml_io import read_yaml
from capsmith.models.run import RunDirectory
from capsmith.models.run_plugins import require_plugins

_WRITTEN = ("data", "text", "encoder", "features", "decoder", "training", "decoding", "evaluation")  # by save_config
_OPEN = frozenset({"data", "features", "decoding", "evaluation", "ensemble"})  # a trained model does not depend on them
_OF_THE_FIRST = frozenset({"decoding", "evaluation"})  # the first member of an ensemble decides them


def run_config(run: str | Path, overrides: Sequence[str] = (), everything: bool = False) -> Config:
    """Reads the resolved config of a run.

    Args:
        run: The run directory.
        overrides: Changes such as ``"decoding.type=beam"``. They may change data, features, decoding, evaluation,
            ensemble, and the path of the encoder's weights.
        everything: Also refuse a run whose dataset, search or metrics come from plugins that are not loaded.

    Raises:
        CheckpointError: The directory is missing or no run, its config is damaged, or it requires a plugin.
        ConfigError: An override is invalid, or would change the model.
    """
    directory = RunDirectory(Path(run))
    directory.require()
    absent = require_plugins(directory, everything)
    try:
        values = read_yaml(directory.config)
        if missing := [name for name in _WRITTEN if name not in values]:
            raise ConfigError(f"{directory.config} is damaged: it lacks {', '.join(missing)}")
        trained = validate(values, str(directory.config), absent)
    except ConfigError as error:
        raise CheckpointError(f"{run} cannot be used: {one_line(error)}") from error
    trained = _with_own_encoders(trained, directory)
    if not overrides:
        return trained
    config = load_config(trained.model_dump(mode="json"), overrides, absent)
    if changed := difference(trained, config, {*_OPEN, "seed"}, {"encoder.weights", "encoder.adapt.into"}):
        raise ConfigError(f"--set cannot change what {run} was trained with ({changed})")
    return config


def run_configs(runs: Sequence[str | Path], overrides: Sequence[str] = (), everything: bool = True) -> list[Config]:
    """Reads the configs of the members of an ensemble.

    Args:
        runs: The run directories.
        overrides: As for ``run_config``. Those of decoding and evaluation apply to the first run, which decides these
            sections for the ensemble; all others apply to every run.
        everything: As for ``run_config``.

    Raises:
        CheckpointError: As ``run_config``.
        ConfigError: As ``run_config``.
    """
    overrides = overrides_list(overrides)
    shared = [change for change in overrides if change.partition("=")[0].strip().split(".")[0] not in _OF_THE_FIRST]
    return [run_config(run, shared if number else overrides, everything) for number, run in enumerate(runs)]


def _with_own_encoders(config: Config, run: RunDirectory) -> Config:
    """Points to the run's copies of pretrained encoders whose originals no longer exist."""
    if not any(encoder.adapt for encoder in config.encoders):
        return config
    folders = zip(config.encoders, run.encoders(len(config.encoders)), strict=True)
    return config.adapted_into(
        [
            folder.path if not Path(encoder.origin).exists() and folder.pretraining.exists() else None
            for encoder, folder in folders
        ]
    )
