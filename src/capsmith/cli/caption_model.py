"""The model of ``capsmith caption``: runs with their configs, or an export, which needs neither Keras nor pydantic."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capsmith.cli.keras_import import load_keras, load_keras_for
from capsmith.cli.search_options import as_overrides, check_words, overrides_of


@dataclass(frozen=True)
class CaptionModel:
    """A model that is not loaded yet, and whose settings are valid.

    Attributes:
        config: Its config; of an export only ``text`` and ``decoding``.
        folders: The runs or exports of its members.
        average: Whether the weights of the runs are averaged.
        load: Loads the captioner.
        fingerprint: Returns the hash of what captions depend on but the search.
    """

    config: Any
    folders: Sequence[Path]
    average: bool
    load: Callable[[], Any]
    fingerprint: Callable[[], str]

    def notes(self) -> list[str]:
        """Checks the words of the search, and returns notes about those without effect."""
        from capsmith.models.export_folder import VOCABULARY

        if not self.folders:
            return []
        return check_words(self.config, self.folders[0] / VOCABULARY)  # the same name in runs and exports


def caption_model(args: argparse.Namespace, models: Sequence[str | Path]) -> CaptionModel:
    """Returns the model that the arguments name; reports mistakes before anything is loaded that takes time."""
    changes = overrides_of(args)
    overrides = [*args.set, *as_overrides(changes)]
    full = bool(args.set or args.average or args.plugin)
    return _model(models, changes, overrides, args.average, full)


def plain_model(model: str | Path, plugins: bool = False) -> CaptionModel:
    """Returns a model with its own settings.

    Args:
        model: A run, an export, a saved ensemble, ``starter``, or the name of a third-party captioner.
        plugins: It may need the plugins that were loaded.
    """
    return _model([model], {}, [], False, plugins)


def _model(
    models: Sequence[str | Path], changes: dict[str, Any], overrides: Sequence[str], average: bool, full: bool
) -> CaptionModel:
    from capsmith.models.external.names import is_external

    if any(is_external(model) for model in models):
        return _external([str(model) for model in models], overrides, average)
    return _of_folders([Path(model) for model in models], changes, overrides, average, full)


def _external(names: Sequence[str], overrides: Sequence[str], average: bool) -> CaptionModel:
    """Returns a third-party captioner, which has to be loaded to know what it can do."""
    from capsmith.core.errors import ConfigError
    from capsmith.models.external.load import load_external
    from capsmith.models.external.names import is_external

    if len(names) > 1 or average:
        external = next(name for name in names if is_external(name))
        raise ConfigError(f"{external}: a third-party captioner forms no ensemble: name it alone")
    load_keras_for(names[0])
    captioner = load_external(names[0], overrides)
    return CaptionModel(captioner.config, [], False, lambda: captioner, lambda: captioner.engine.fingerprint)


def _of_folders(
    models: Sequence[Path], changes: dict[str, Any], overrides: Sequence[str], average: bool, full: bool
) -> CaptionModel:
    from capsmith.core.starter import model_path
    from capsmith.models.export_folder import ExportFolder

    models = [model_path(path) for path in models]
    if len(models) == 1 and not full and ExportFolder(models[0]).is_export:
        return _of_export(models[0], changes)
    return _of_runs(models, overrides, average)


def _of_export(folder: Path, changes: dict[str, Any]) -> CaptionModel:
    from capsmith.deploy.runtime import Captioner, runtime_config

    return CaptionModel(
        runtime_config(folder, changes),
        [folder],
        False,
        lambda: Captioner.load(folder, changes),
        lambda: _fingerprint([folder]),
    )


def _of_runs(models: Sequence[Path], overrides: Sequence[str], average: bool) -> CaptionModel:
    from capsmith.models.ensemble_run import find_runs

    runs = find_runs(models, overrides, average)
    configs = runs.configs(require_all=False)

    def load() -> Any:
        from capsmith.core.terminal import print_error

        if runs.needs_keras:
            load_keras()
        from capsmith.models.captioner import Captioner

        captioner = Captioner.load_members(runs.runs, configs, average=runs.average)
        for member in captioner.members:
            if member.feature_origin is not None and member.feature_origin.encoder == "unverified":
                print_error(f"note: {member.run} {member.feature_origin.note}")
        return captioner

    return CaptionModel(configs[0], runs.runs, runs.average, load, lambda: _fingerprint(runs.runs))


def _fingerprint(folders: Sequence[Path]) -> str:
    from capsmith.deploy.folder.fingerprint import model_fingerprint

    return model_fingerprint(folders)
