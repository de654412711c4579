"""Loads the models of a service. An export needs neither Keras nor pydantic."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from capsmith.core.errors import ConfigError
from capsmith.core.onnx_session import default_threads
from capsmith.data.text.vocabulary import END
from capsmith.deploy.serving.models import NamedPath, ServedModel, served_model
from capsmith.deploy.serving.settings import ServeSettings
from capsmith.models.export_folder import ExportFolder

Load = Callable[[], ServedModel]
"""Loads a model and captions an image with it, after which it is as fast as ever."""


def prepare(
    model: NamedPath,
    settings: ServeSettings,
    overrides: Sequence[str] = (),
    load_keras: Callable[[], None] | None = None,
) -> Load:
    """Checks a model and the changes to its search, before anything is loaded that takes time.

    Args:
        model: Its name and its run, export or saved ensemble, or a third-party captioner.
        settings: The limits.
        overrides: Changes to its config, such as ``"decoding.beam_size=3"``.
        load_keras: Called before Keras is imported.

    Raises:
        CheckpointError: There is no such model, or its manifest or config is damaged.
        ConfigError: The changes are invalid.
    """
    if model.external:
        load = _external(model, settings, overrides, load_keras)
    elif _is_plain(model, overrides):
        load = _export(model, settings)
    else:
        load = _runs(model, settings, overrides, load_keras)

    def warmed_up() -> ServedModel:
        served = load()
        pixels = [np.zeros((*size, 3), np.uint8) for size in served.image_sizes]
        served.batcher.warm_up(pixels, served.decoding({}))
        return served

    return warmed_up


def _is_plain(model: NamedPath, overrides: Sequence[str]) -> bool:
    return not overrides and ExportFolder(model.path).is_export


def _export(model: NamedPath, settings: ServeSettings) -> Load:
    from capsmith.deploy.runtime import Captioner, runtime_config

    runtime_config(model.path, {})

    def load() -> ServedModel:
        captioner = Captioner.load(model.path, threads=settings.threads or max(1, default_threads() - 1))
        trained_on = ExportFolder(model.path).manifest.labels.get("trained_on", "")
        return served_model(model.name, captioner, settings, trained_on)

    return load


def _external(
    model: NamedPath, settings: ServeSettings, overrides: Sequence[str], load_keras: Callable[[], None] | None
) -> Load:
    from capsmith.models.external.load import load_external

    if load_keras is not None and model.external.startswith("hub:"):
        load_keras()
    captioner = load_external(model.external, overrides)
    return lambda: served_model(model.name, captioner, settings)


def _runs(
    model: NamedPath, settings: ServeSettings, overrides: Sequence[str], load_keras: Callable[[], None] | None
) -> Load:
    from capsmith.models.ensemble_run import find_runs

    runs = find_runs(model.path, overrides)
    configs = runs.configs(require_all=False)
    if not runs.needs_keras and (wrong := [one for one in overrides if not one.strip().startswith("decoding.")]):
        raise ConfigError(f"--set {wrong[0][:80]}: of an export only decoding can be changed")

    def load() -> ServedModel:
        if runs.needs_keras and load_keras is not None:
            load_keras()
        from capsmith.models.captioner import Captioner

        captioner = Captioner.load_members(runs.runs, configs, average=runs.average)
        captioner.members[0].encoders  # noqa: B018  raises if images cannot be captioned
        return served_model(model.name, captioner, settings, trained_on(captioner, model), runs.needs_keras)

    return load


def trained_on(captioner: Any, model: NamedPath) -> str:
    """Returns what a run was trained on, in a few words."""
    labels: Mapping[str, str] = {}
    if (export := ExportFolder(model.path)).is_export:
        labels = export.manifest.labels
    data = getattr(captioner.config, "data", None)
    count = captioner.vocabulary.counts[END]
    amount = f"{count:,} captions" if count else "captions"
    return labels.get("trained_on", f"{amount} of a dataset of type {data.type}" if data is not None else "")
