"""A captioner by its name: runs with their configs, an export, which needs neither Keras nor pydantic, or another's.

What names it can be pickled and sent to other processes; the captioner itself cannot.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from capsmith.core.starter import model_path
from capsmith.models.external.names import is_external


def _nothing() -> None:
    """Prepares nothing."""


@dataclass(frozen=True)
class CaptionerName:
    """What names a captioner.

    Attributes:
        models: Runs, saved ensembles, an export, ``starter``, or the name of a third-party captioner; several runs form
            an ensemble.
        changes: Changed settings of the search.
        overrides: Other changed settings of the config, such as ``"decoding.beam_size=3"``.
        average: Average the weights of runs.
        full: Settings were changed that an export does not have, or plugins loaded: it is refused.
        plugins: Plugins that it needs.
        prepare: Called before Keras is imported.
    """

    models: tuple[str | Path, ...]
    changes: dict[str, Any] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()
    average: bool = False
    full: bool = False
    plugins: tuple[str, ...] = ()
    prepare: Callable[[], Any] = _nothing

    @property
    def all_overrides(self) -> tuple[str, ...]:
        """All changed settings of the config."""
        return (*self.overrides, *as_overrides(self.changes))

    def find(self) -> "NamedCaptioner":
        """Returns the captioner, not loaded yet; reports mistakes before anything is loaded that takes time.

        Raises:
            CapsmithError: There is no such captioner, or its settings are invalid.
        """
        if self.plugins:
            from capsmith.core.plugins import load_plugin

            for plugin in self.plugins:
                load_plugin(plugin)
        if any(is_external(model) for model in self.models):
            return _external(self)
        paths = [model_path(path) for path in self.models]
        from capsmith.models.export_folder import ExportFolder

        if len(paths) == 1 and not self.full and ExportFolder(paths[0]).is_export:
            return _of_export(self, paths[0])
        return _of_runs(self, paths)

    def absolute(self) -> "CaptionerName":
        """Returns the same captioner with absolute paths."""
        return replace(self, models=tuple(map(_absolute, self.models)), plugins=tuple(map(_file, self.plugins)))


@dataclass(frozen=True)
class NamedCaptioner:
    """A captioner that is not loaded yet, and whose settings are valid.

    Attributes:
        name: What names it.
        config: Its config; of an export only ``text`` and ``decoding``.
        folders: The runs or exports of its members.
        average: Whether the weights of the runs are averaged.
        load: Loads the captioner, given a number of threads: by default, one for each core.
        fingerprint: Returns the hash of what captions depend on but the search.
    """

    name: CaptionerName
    config: Any
    folders: Sequence[Path]
    average: bool
    load: Callable[..., Any]
    fingerprint: Callable[[], str]

    def settings(self) -> dict[str, Any]:
        """Returns what captions depend on besides the model: a restart with other settings is refused."""
        from capsmith.models.wishes import without_file

        return {"decoding": without_file(self.config.decoding), "average": self.average}

    def portable(self) -> CaptionerName:
        """Returns a name for other processes: with absolute paths, and the content of the file of excluded words."""
        name = self.name.absolute()
        if getattr(self.config.decoding, "exclude_file", None) is None:
            return name
        words = self.settings()["decoding"]["exclude"]
        return replace(name, changes={**name.changes, "exclude": words, "exclude_file": None})

    def notes(self) -> list[str]:
        """Checks the words of the search, and returns notes about those without effect.

        Raises:
            ConfigError: Words are not in the vocabulary, or contradict each other.
            CheckpointError: The vocabulary is missing or damaged.
        """
        from capsmith.data.text.vocabulary import Vocabulary
        from capsmith.decoding.wishes import has_wishes
        from capsmith.models.wishes import resolve

        if not self.folders or not has_wishes(self.config.decoding):
            return []
        from capsmith.models.export_folder import VOCABULARY

        vocabulary = Vocabulary.load(self.folders[0] / VOCABULARY)  # the same name in runs and exports
        wishes = resolve(self.config.decoding, vocabulary, self.config.text)
        return [] if wishes is None else list(wishes.notes)


def as_overrides(settings: Mapping[str, Any]) -> list[str]:
    """Returns settings of ``decoding`` in the form of ``--set``."""
    return [f"decoding.{name}={json.dumps(value)}" for name, value in settings.items()]


def _external(name: CaptionerName) -> NamedCaptioner:
    """Returns a third-party captioner, which has to be loaded to know what it can do."""
    from capsmith.core.errors import ConfigError
    from capsmith.models.external.load import load_external

    names = [str(model) for model in name.models]
    if len(names) > 1 or name.average:
        external = next(one for one in names if is_external(one))
        raise ConfigError(f"{external}: a third-party captioner forms no ensemble: name it alone")
    if names[0].startswith("hub:") and find_spec("keras_hub") is not None:
        name.prepare()
    captioner = load_external(names[0], name.all_overrides)
    return NamedCaptioner(
        name, captioner.config, [], False, lambda threads=None: captioner, lambda: captioner.engine.fingerprint
    )


def _of_export(name: CaptionerName, folder: Path) -> NamedCaptioner:
    from capsmith.deploy.runtime import Captioner, runtime_config

    return NamedCaptioner(
        name,
        runtime_config(folder, name.changes),
        [folder],
        False,
        lambda threads=None: Captioner.load(folder, name.changes, threads=threads),
        lambda: _fingerprint([folder]),
    )


def _of_runs(name: CaptionerName, models: Sequence[Path]) -> NamedCaptioner:
    from capsmith.models.ensemble_run import find_runs

    runs = find_runs(models, name.all_overrides, name.average)
    configs = runs.configs(require_all=False)

    def load(threads: int | None = None) -> Any:
        from capsmith.core.terminal import print_error

        if runs.needs_keras:
            name.prepare()
        from capsmith.models.captioner import Captioner

        captioner = Captioner.load_members(runs.runs, configs, average=runs.average)
        for member in captioner.members:
            if member.feature_origin is not None and member.feature_origin.encoder == "unverified":
                print_error(f"note: {member.run} {member.feature_origin.note}")
        return captioner

    return NamedCaptioner(name, configs[0], runs.runs, runs.average, load, lambda: _fingerprint(runs.runs))


def _fingerprint(folders: Sequence[Path]) -> str:
    from capsmith.deploy.folder.fingerprint import model_fingerprint

    return model_fingerprint(folders)


def _absolute(model: str | Path) -> str | Path:
    if not is_external(model):
        return Path(os.path.abspath(model_path(model)))
    prefix, _, rest = str(model).partition(":")
    return f"{prefix}:{_file(rest)}" if prefix != "exec" else str(model)


def _file(path: str) -> str:
    return os.path.abspath(path) if os.path.exists(path) else str(path)
