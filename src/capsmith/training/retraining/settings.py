"""The config of a retraining: the model's own, with the corrections as its data."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from capsmith.config import Config, captioner_config
from capsmith.core.errors import CheckpointError, ConfigError
from capsmith.core.starter import is_starter
from capsmith.models.ensemble_run import find_runs
from capsmith.models.export_folder import ExportFolder
from capsmith.models.feature_origin import FeatureOrigin
from capsmith.models.run import RunDirectory
from capsmith.models.run_config import run_config
from capsmith.training.retraining.corrections import FILE
from capsmith.training.transfer import with_transferred_model

_MODEL = "training.transfer_from="
_DROPOUT = 0.1  # at most: it is noise that moves what the model knows
_TRAINING = {
    "keep_words": True,
    "rehearsal": {"share": 0.7, "images": 2000},
    "epochs": 24,
    "learning_rate": 3e-4,
    "patience": 8,
}
"""Chosen on dev by ``benchmarks/retrain.py``; ``--set`` changes them."""


def chosen_model(models: Sequence[str], overrides: Sequence[str]) -> str:
    """Returns the model that learns: the one that ``--set training.transfer_from`` names, or the one that proposed.

    Args:
        models: The model that proposed; several paths for an ensemble, none if it is not known.
        overrides: Those of the command line.

    Raises:
        ConfigError: None is known, or it is an ensemble.
    """
    named = [override.removeprefix(_MODEL).strip() for override in overrides if override.startswith(_MODEL)]
    if named:
        return named[-1]
    if not models:
        raise ConfigError(f"this project does not say which model proposed its captions: add --set {_MODEL}RUN")
    if len(models) > 1:
        raise _several(" ".join(models), models[0])
    return models[0]


def base_config(model: str) -> Config:
    """Returns the config of a model that can be retrained.

    Raises:
        ConfigError: It is an ensemble.
        CheckpointError: It cannot be read, or cannot caption new images.
    """
    runs = find_runs(model).runs
    if len(runs) > 1 or RunDirectory(Path(model)).is_ensemble:
        raise _several(model, str(runs[0]))
    folder = ExportFolder.named(model)
    if folder.is_export and len(folder.manifest.members) > 1:
        raise ConfigError(f"{model} is an export of an ensemble: retrain an export or a run of one model")
    origin = None if folder.is_export else FeatureOrigin.of_run(folder.path)
    if origin is not None and origin.encoder == "none":
        raise CheckpointError(f"{model} {origin.note}: it cannot learn from new images")
    return run_config(folder.path)


def retrain_config(
    model: str, run: RunDirectory, root: Path, cache: Path, taught: int, overrides: Sequence[str] = ()
) -> Config:
    """Returns the config of a retraining.

    Args:
        model: The model that learns.
        run: The new run, which holds the corrections.
        root: The folder of the images.
        cache: Folder of the features of the images.
        taught: Number of corrections.
        overrides: Changes, such as ``"training.epochs=40"``.

    Raises:
        ConfigError: An override is not valid, or changes what the model fixes.
    """
    base = base_config(model)
    values: dict[str, Any] = base.model_dump(mode="json")
    values["data"] = {
        "type": "folder",
        "root": str(root.absolute()),
        "captions": str((run.path / FILE).absolute()),
        "images": ".",
        "split_column": "split",
        "subset": True,
        "max_bad_fraction": 1.0,
    }
    values["text"] |= {"min_count": 1, "max_words": None}
    values["encoder"] = _encoders(values["encoder"], model)
    values["features"] |= {"store": None, "cache": str(cache.absolute()), "max_bad_fraction": 0.5}
    values["decoder"]["embedding"]["vectors"] = None
    values["decoder"]["dropout"] = min(values["decoder"]["dropout"], _DROPOUT)
    values["decoding"]["rerank"] = None
    values["training"] = {**_TRAINING, "batch_size": _batch_size(taught), "transfer_from": _absolute(model)}
    values["evaluation"] |= {"after_training": "dev"}
    values["ensemble"] = []
    config = captioner_config(values, [override for override in overrides if not override.startswith(_MODEL)])
    return with_transferred_model(config)


def _batch_size(taught: int) -> int:
    """Returns captions in a batch: an epoch has eight batches or more, so that a few corrections are learned too."""
    return min(40, max(8, taught // 5))


def _absolute(model: str) -> str:
    return model if is_starter(model) else str(Path(model).absolute())


def _encoders(values: Any, model: str) -> Any:
    """Returns the encoders, with the run's own copy of weights whose file no longer exists."""
    if isinstance(values, list):
        folders = RunDirectory(Path(model)).encoders(len(values))
        return [_encoder(one, folder.weights) for one, folder in zip(values, folders, strict=True)]
    return _encoder(values, RunDirectory(Path(model)).encoders(1)[0].weights)


def _encoder(values: dict[str, Any], copy: Path) -> dict[str, Any]:
    is_file = values["weights"] not in ("imagenet", "none", "starter") and values["type"] not in ("onnx", "custom")
    if is_file and not Path(values["weights"]).expanduser().is_file() and copy.is_file():
        return {**values, "weights": str(copy.absolute())}
    return values


def _several(model: str, first: str) -> ConfigError:
    return ConfigError(
        f"{model} is an ensemble, and one model learns at a time: --set {_MODEL}{first} retrains its first member"
    )
