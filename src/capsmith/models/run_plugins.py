"""The plugins that a run requires. The run keeps their names and digests, never their code, and loads none itself."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from capsmith.config import Config
from capsmith.core.errors import CheckpointError, escaped
from capsmith.core.files import read_json, write_json
from capsmith.core.log import get_logger
from capsmith.core.plugins import SESSION, provider, tables
from capsmith.models.run import RunDirectory

logger = get_logger(__name__)

_FORMAT = 1
_LARGEST = 100_000  # bytes
_ALWAYS = ("decoder", "encoder")  # a model cannot be built without these; other components may never be used
_reported: set[tuple[str, ...]] = set()


@dataclass(frozen=True)
class Requirement:
    """One component of a plugin that a run was trained with.

    Attributes:
        kind: As in ``capsmith.core.plugins.tables``.
        name: Name of the component.
        plugin: Name of its plugin.
        sha256: Digest of the plugin's source at training; empty if unknown.
    """

    kind: str
    name: str
    plugin: str
    sha256: str


def save_requirements(config: Config, run: RunDirectory) -> None:
    """Writes the plugins that a config requires into a run; without any it writes no file."""
    requirements = [
        Requirement(kind, name, plugin.name, plugin.sha256)
        for kind, name in _components(config)
        if (plugin := provider(kind, name)) is not None
    ]
    if requirements:
        write_json(run.plugins, {"format": _FORMAT, "needs": [one.__dict__ for one in requirements]})
    else:
        run.plugins.unlink(missing_ok=True)


def load_requirements(run: RunDirectory) -> list[Requirement]:
    """Reads the plugins that a run requires.

    Raises:
        CheckpointError: The file is damaged.
    """
    if not run.plugins.exists():
        return []
    damaged = CheckpointError(f"{run.plugins} is damaged")
    if not run.plugins.is_file() or run.plugins.stat().st_size > _LARGEST:
        raise damaged
    content = read_json(run.plugins, CheckpointError)
    entries = content.get("needs") if isinstance(content, dict) and content.get("format") == _FORMAT else None
    if not isinstance(entries, list):
        raise damaged
    return [_requirement(entry, damaged) for entry in entries]


def _requirement(entry: Any, damaged: CheckpointError) -> Requirement:
    values = entry if isinstance(entry, dict) else {}
    texts = [values.get(key) for key in ("kind", "name", "plugin", "sha256")]
    if not all(isinstance(text, str) and len(text) < 200 for text in texts) or texts[0] not in tables():
        raise damaged
    return Requirement(*(str(text) for text in texts))


def require_plugins(run: RunDirectory, everything: bool = False) -> dict[tuple[str, str], str]:
    """Checks that the plugins of a run are loaded.

    Args:
        run: The run directory.
        everything: Refuse any missing component, not only those without which the model cannot be built.

    Returns:
        The plugins of the tolerated missing components, by kind and name.

    Raises:
        CheckpointError: A required component is missing; the message says how to load it.
    """
    requirements = load_requirements(run)
    missing = [one for one in requirements if one.name not in tables()[one.kind]]
    if refused := [one for one in missing if everything or one.kind in _ALWAYS]:
        components = escaped(", ".join(dict.fromkeys(f"{one.kind} '{one.name}'" for one in refused)))
        files = list(dict.fromkeys(one.plugin for one in refused if one.plugin != SESSION))
        options = escaped(" ".join(f"--plugin {shlex.quote(name)}" for name in files))
        advice = f"add {options} (in Python: capsmith.load_plugin), which runs its code" if files else "register it"
        origin = "of a plugin" if files else "that a notebook or session registered"
        raise CheckpointError(f"{run} requires {components} {origin}: {advice} first; the run holds no code")
    for one in requirements:
        if one not in missing:
            _report_change(one, run)
    return {(one.kind, one.name): one.plugin for one in missing}


def _report_change(requirement: Requirement, run: RunDirectory) -> None:
    """Logs once if a plugin differs from the one that a run was trained with."""
    kind, name = requirement.kind, requirement.name
    now = provider(kind, name)
    if now is not None and now.sha256 == requirement.sha256 and requirement.sha256:
        return
    key = (str(run), kind, name, now.sha256 if now is not None else "")
    if key in _reported:
        return
    _reported.add(key)
    current = f"{now.name} (sha256 {_short(now.sha256)})" if now is not None else "capsmith itself"
    trained = f"{requirement.plugin} (sha256 {_short(requirement.sha256)})"
    line = f"note: {kind} '{name}' comes from {current}, but {run} was trained with {trained}: results may differ"
    logger.info(escaped(line))


def _short(digest: str) -> str:
    return digest[:12] or "unknown"


def _components(config: Config) -> Iterable[tuple[str, str]]:
    """Yields kind and name of every component of a config."""
    yield "decoder", config.decoder.type
    yield "dataset", config.data.type
    yield "decoding", config.decoding.type
    yield from (("encoder", name) for name in dict.fromkeys(encoder.type for encoder in config.encoders))
    yield from (("metric", name) for name in dict.fromkeys([*config.evaluation.metrics, config.training.metric]))
