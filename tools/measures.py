"""The cost of a kept run and the quality of its captions: minutes, parameters, megabytes, broken captions."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from capsmith.metrics.diversity import Diversity, diversity
from tools.rows import CAPTION_INDEX_BYTES, ENCODER_SIZES, Row

SEED_KEYS = (
    "seed",
    "data.root",
    "features.cache",
    "training.checkpoint_every",
    "training.resume_weights_from",
    "training.stage_one",
    "decoding.seed",
)
"""Keys that may differ between seeds of one recipe, besides paths of encoder weights."""


def read_yaml(path: Path) -> dict[str, Any]:
    """Reads a kept config as it stands."""
    values: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return values


def flatten(values: Any, prefix: str = "") -> dict[str, Any]:
    """Returns the values of nested settings by dotted key."""
    if not isinstance(values, dict | list) or not values:
        return {prefix[:-1]: values}
    items: Iterable[tuple[Any, Any]] = values.items() if isinstance(values, dict) else enumerate(values)
    return {path: value for key, child in items for path, value in flatten(child, f"{prefix}{key}.").items()}


def recipe_differences(folder: Path, other: Path) -> list[str]:
    """Returns the keys in which the recipes of two kept folders differ. Keys that only one of them has do not count."""
    left, right = (flatten(read_yaml(one / "config.yaml")) for one in (folder, other))
    differing = [key for key in left if key in right and left[key] != right[key]]
    paths = ("pretrain_on_words.output", "weights")
    keys = [key for key in differing if not key.startswith(SEED_KEYS) and not key.endswith(paths)]
    precisions = [
        json.loads((one / "versions.json").read_text(encoding="utf-8")).get("precision", "float32")
        for one in (folder, other)
    ]
    return keys + (["training.precision"] if precisions[0] != precisions[1] else [])


def caption_diversity(folder: Path) -> Diversity:
    """Measures the kept captions of a folder."""
    lines = (folder / "report" / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    return diversity([json.loads(line)["caption"].split() for line in lines])


def minutes(run: Path) -> float:
    """Returns the minutes that a run's epochs took, dev decoding included."""
    lines = (run / "history.csv").read_text(encoding="utf-8").splitlines()
    column = lines[0].split(",").index("seconds")
    return sum(float(line.split(",")[column]) for line in lines[1:]) / 60


def parameters(run: Path) -> int:
    """Returns the number of trained parameters according to the run's log; 0 when the log does not say."""
    match = re.search(r"([\d,]+) trained parameters", (run / "log.txt").read_text(encoding="utf-8"))
    return int(match[1].replace(",", "")) if match else 0


def deployed_size(row: Row, decoder_parameters: int, decoder_mb: float) -> tuple[int, float]:
    """Returns everything that captioning needs: parameters, and MB of weights and of the caption index.

    Args:
        row: Gives the number of captioners, their encoders (shared by all), and whether captions are looked up.
        decoder_parameters: Parameters of all decoders.
        decoder_mb: MB of all ``model.weights.h5``.
    """
    numbers, data = (sum(ENCODER_SIZES[encoder][part] for encoder in row.encoders) for part in (0, 1))
    index = CAPTION_INDEX_BYTES if row.uses_training_captions else 0
    return decoder_parameters + numbers, round(decoder_mb + (data + index) / 1e6, 1)
