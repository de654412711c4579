"""Whether captions were proposed by the same model with the same search."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from capsmith.deploy.folder.fingerprint import model_fingerprint
from capsmith.models.export_folder import ExportFolder
from capsmith.models.wishes import without_file


def external_fingerprint(name: str, overrides: Sequence[str] = ()) -> str:
    """Returns the hash of a third-party captioner and of its search; errors as for ``loading.prepare``."""
    from capsmith.models.external.load import load_external

    captioner = load_external(name, overrides)
    return f"{captioner.engine.fingerprint[:16]}-{_search(captioner.config.decoding)}"


def fingerprint(path: Path, overrides: Sequence[str] = ()) -> str:
    """Returns a hash of a model's files and of its search.

    Args:
        path: A run, an export or a saved ensemble.
        overrides: Changes to its config, such as ``"decoding.beam_size=3"``.

    Raises:
        CheckpointError, ConfigError: As for ``loading.prepare``.
    """
    folders, decoding = _parts(path, overrides)
    return f"{model_fingerprint(folders)}-{_search(decoding)}"


def _search(decoding: Any) -> str:
    return hashlib.sha256(json.dumps(without_file(decoding), sort_keys=True).encode()).hexdigest()[:8]


def _parts(path: Path, overrides: Sequence[str]) -> tuple[Sequence[Path], Any]:
    if not overrides and ExportFolder(path).is_export:
        from capsmith.deploy.runtime import runtime_config

        return [path], runtime_config(path, {}).decoding
    from capsmith.models.ensemble_run import find_runs

    runs = find_runs(path, overrides)
    return runs.runs, runs.configs(require_all=False)[0].decoding
