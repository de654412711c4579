"""Which plugins a run needs: kept in it by name and digest, never as code, and never loaded unasked."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capsmith.core.errors import CheckpointError, escaped
from capsmith.core.files import read_json, write_json
from capsmith.core.log import get_logger
from capsmith.core.plugins import SESSION, provider, tables

logger = get_logger(__name__)

if TYPE_CHECKING:
    from capsmith.config import Config

FILE = "plugins.json"
_FORMAT = 1
_LARGEST = 100_000  # bytes
_ALWAYS = ("decoder", "encoder")  # without these a run's model cannot be built; the others may never be asked for
_told: set[tuple[str, ...]] = set()


@dataclass(frozen=True)
class Need:
    """One component of a plugin that a run was trained with.

    Attributes:
        kind: As in ``capsmith.core.plugins.tables``.
        name: The component's.
        plugin: Its plugin's.
        sha256: Of the plugin's source then; empty where that is not known.
    """

    kind: str
    name: str
    plugin: str
    sha256: str


def remember(config: "Config", run: Path) -> None:
    """Writes which plugins a config needs into a run; no file where it needs none."""
    needs = [
        Need(kind, name, plugin.name, plugin.sha256)
        for kind, name in _components(config)
        if (plugin := provider(kind, name)) is not None
    ]
    if needs:
        write_json(run / FILE, {"format": _FORMAT, "needs": [need.__dict__ for need in needs]})
    else:
        (run / FILE).unlink(missing_ok=True)


def needs_of(run: Path) -> list[Need]:
    """Reads which plugins a run needs.

    Raises:
        CheckpointError: The file is damaged.
    """
    path = run / FILE
    if not path.exists():
        return []
    damaged = CheckpointError(f"{path} is damaged")
    if not path.is_file() or path.stat().st_size > _LARGEST:
        raise damaged
    found = read_json(path, CheckpointError)
    entries = found.get("needs") if isinstance(found, dict) and found.get("format") == _FORMAT else None
    if not isinstance(entries, list):
        raise damaged
    return [_need(entry, damaged) for entry in entries]


def _need(entry: Any, damaged: CheckpointError) -> Need:
    values = entry if isinstance(entry, dict) else {}
    texts = [values.get(key) for key in ("kind", "name", "plugin", "sha256")]
    if not all(isinstance(text, str) and len(text) < 200 for text in texts) or texts[0] not in tables():
        raise damaged
    return Need(*(str(text) for text in texts))


def absent(run: Path, everything: bool = False) -> dict[tuple[str, str], str]:
    """Returns the components of plugins that a run's config names and that are not loaded, and their plugins.

    Args:
        run: The run directory.
        everything: Refuse whatever is missing; else only what the model cannot be built without.

    Raises:
        CheckpointError: One is missing that is needed; the message says what to pass.
    """
    needs = needs_of(run)
    missing = [need for need in needs if need.name not in tables()[need.kind]]
    if required := [need for need in missing if everything or need.kind in _ALWAYS]:
        parts = escaped(", ".join(dict.fromkeys(f"{need.kind} '{need.name}'" for need in required)))
        files = list(dict.fromkeys(need.plugin for need in required if need.plugin != SESSION))
        passed = escaped(" ".join(f"--plugin {shlex.quote(name)}" for name in files))
        what = f"add {passed} (in Python: capsmith.load_plugin), which runs its code" if files else "register it first"
        of = "of a plugin" if files else "which a notebook or session registered"
        raise CheckpointError(f"{run} needs {parts} {of}: {what}; the run itself holds none")
    for need in needs:
        if need not in missing:
            _tell_change(need, run)
    return {(need.kind, need.name): need.plugin for need in missing}


def _tell_change(need: Need, run: Path) -> None:
    """Says once when a plugin is not the one that a run was trained with."""
    now = provider(need.kind, need.name)
    if now is not None and now.sha256 == need.sha256 and need.sha256:
        return
    key = (str(run), need.kind, need.name, now.sha256 if now is not None else "")
    if key in _told:
        return
    _told.add(key)
    here = f"{now.name} (sha256 {_short(now.sha256)})" if now is not None else "capsmith's own"
    then = f"{need.plugin} (sha256 {_short(need.sha256)})"
    line = f"note: {need.kind} '{need.name}' is of {here}; {run} was trained with that of {then}: results may differ"
    logger.info(escaped(line))


def _short(digest: str) -> str:
    return digest[:12] or "unknown"


def _components(config: "Config") -> Iterable[tuple[str, str]]:
    """Yields what a config names, by kind and name."""
    yield "decoder", config.decoder.type
    yield "dataset", config.data.type
    yield "decoding", config.decoding.type
    yield from (("encoder", name) for name in dict.fromkeys(one.type for one in config.encoders))
    yield from (("metric", name) for name in dict.fromkeys([*config.evaluation.metrics, config.training.metric]))
