"""The scores of a run, for manifest and model card."""

from pathlib import Path
from typing import Any

from capsmith.core.errors import CheckpointError
from capsmith.core.files import read_json
from capsmith.core.outputs import SCORES
from capsmith.decoding.config import DecodingConfig
from capsmith.models.ensemble_run import ModelRuns

_RUN = "float32 checkpoint"


def run_scores(runs: ModelRuns, decoding: DecodingConfig) -> dict[str, Any]:
    """Returns the scores of the latest report of test, else of dev; empty if there is none.

    Args:
        runs: The runs of the model.
        decoding: The search of the export: reports of another search do not describe it.

    Returns:
        ``split``, ``images``, ``of`` (what was scored), ``scores`` (value, interval and signature by metric) and
        ``shuffled_images`` (the control).
    """
    for folder in (runs.report, runs.report / "dev"):
        content = _read(folder / SCORES)
        if content and _same_search(content.get("decoding"), decoding):
            images = content.get("images", content.get("pictures"))
            return {
                "split": content.get("split"),
                "images": images,
                "of": _RUN,
                "scores": content.get("scores"),
                "shuffled_images": content.get("shuffled_images", content.get("shuffled_pictures", {})),
            }
    return {}


def _read(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path, CheckpointError)
    except CheckpointError:
        return {}
    return content if isinstance(content, dict) and isinstance(content.get("scores"), dict) else {}


def _same_search(saved: Any, decoding: DecodingConfig) -> bool:
    """Returns whether saved settings equal a search's; keys that an earlier version did not write have no effect."""
    now = decoding.model_dump(mode="json")
    return isinstance(saved, dict) and all(now.get(key, value) == value for key, value in saved.items())
