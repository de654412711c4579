"""The plugins that a run requires. A run records their names and digests, never code, and loads none by itself."""

import logging
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from capsmith.core.errors import CheckpointError, escaped
from capsmith.core.files import read_json, write_json
from capsmith.core.loaded_plugins import SESSION, provider
from capsmith.core.readers.file_schema import FileSchema
from capsmith.core.tables import TABLES

logger = logging.getLogger(__name__)
Text = Annotated[str, Field(max_length=199)]
_ADVICE = "copy the run again"
_LARGEST_FILE = 100_000  # bytes
_MODEL_KINDS = ("decoder", "encoder")  # without these, a run's model cannot be built
_noted: set[tuple[str, ...]] = set()


class PluginRequirement(FileSchema):
    """One plugin component that a run was trained with.

    Attributes:
        kind: A key of ``capsmith.core.tables.TABLES``.
        name: The component's name.
        plugin: The name of its plugin.
        sha256: Digest of the plugin's source at that time; empty if unknown.
    """

    kind: Text
    name: Text
    plugin: Text
    sha256: Text


class _SavedRequirements(FileSchema):
    format: Literal[1] = 1
    needs: list[PluginRequirement]


def write_requirements(components: Iterable[tuple[str, str]], path: Path) -> None:
    """Records in a run which plugins provide its components; removes the record if none does.

    Args:
        components: The components that the run's config names, by kind and name.
        path: The record of the run.
    """
    required = [
        PluginRequirement(kind=kind, name=name, plugin=plugin.name, sha256=plugin.sha256)
        for kind, name in components
        if (plugin := provider(kind, name)) is not None
    ]
    if required:
        write_json(path, _SavedRequirements(needs=required).model_dump())
    else:
        path.unlink(missing_ok=True)


def read_requirements(path: Path) -> list[PluginRequirement]:
    """Reads which plugins a run requires.

    Raises:
        CheckpointError: The file is damaged.
    """
    if not path.exists():
        return []
    if not path.is_file() or path.stat().st_size > _LARGEST_FILE:
        raise CheckpointError(f"{path} is damaged; {_ADVICE}")
    needs = _SavedRequirements.check(read_json(path, CheckpointError), path, CheckpointError, _ADVICE).needs
    if unknown := [requirement.kind for requirement in needs if requirement.kind not in TABLES]:
        raise CheckpointError(f"{path} is damaged: there is no kind {escaped(unknown[0])}; {_ADVICE}")
    return needs


def unloaded_components(path: Path, require_all: bool = False) -> dict[tuple[str, str], str]:
    """Returns the plugin components that a run's config names and that are not loaded, each with its plugin.

    Args:
        path: The record of the run.
        require_all: Refuse any missing component; by default only those without which the model cannot be built.

    Raises:
        CheckpointError: A required component is missing; the message says which plugin to pass.
    """
    requirements, run = read_requirements(path), path.parent
    missing = [requirement for requirement in requirements if requirement.name not in TABLES[requirement.kind]]
    if required := [component for component in missing if require_all or component.kind in _MODEL_KINDS]:
        parts = escaped(", ".join(dict.fromkeys(f"{component.kind} '{component.name}'" for component in required)))
        files = list(dict.fromkeys(component.plugin for component in required if component.plugin != SESSION))
        options = escaped(" ".join(f"--plugin {shlex.quote(name)}" for name in files))
        advice = f"add {options} (in Python: capsmith.load_plugin), which runs its code" if files else "register it"
        source = "from a plugin" if files else "which a notebook or session registered"
        raise CheckpointError(f"{run} requires {parts} {source}: {advice}; the run itself contains no code")
    for requirement in requirements:
        if requirement not in missing:
            _note_change(requirement, run)
    return {(requirement.kind, requirement.name): requirement.plugin for requirement in missing}


def _note_change(requirement: PluginRequirement, run: Path) -> None:
    """Logs once when a plugin differs from the one that a run was trained with."""
    kind, name = requirement.kind, requirement.name
    now = provider(kind, name)
    if now is not None and now.sha256 == requirement.sha256 and requirement.sha256:
        return
    key = (str(run), kind, name, now.sha256 if now is not None else "")
    if key in _noted:
        return
    _noted.add(key)
    current = f"{now.name} (sha256 {_short(now.sha256)})" if now is not None else "capsmith itself"
    recorded = f"{requirement.plugin} (sha256 {_short(requirement.sha256)})"
    logger.warning(
        escaped(
            f"note: {kind} '{name}' comes from {current}; {run} was trained with the one from {recorded}: "
            "results may differ"
        )
    )


def _short(digest: str) -> str:
    return digest[:12] or "unknown"
