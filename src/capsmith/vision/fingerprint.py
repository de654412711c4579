"""Encoder fingerprints, which prevent features of different encoders from being mixed.

A fingerprint is computed without building the network, so a complete feature store opens without Keras.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from capsmith.core.errors import FeatureError
from capsmith.core.loaded_plugins import provider
from capsmith.vision.config import EncoderConfig
from capsmith.vision.encoders import ENCODERS
from capsmith.vision.hashes import file_sha256 as file_sha256
from capsmith.vision.hashes import json_sha256 as json_sha256
from capsmith.vision.hub.description import preset_hash

FEATURE_FORMAT = 1
"""Incremented when the same encoder would give different features, for example after a change to resizing."""

MAY_DIFFER_IN_RUNS = ("plugin",)
"""Keys that may differ from a run's own fingerprint: loading a run reports another version of its plugin."""


def encoder_fingerprint(config: EncoderConfig, weights: str | None = None) -> dict[str, Any]:
    """Returns everything that determines the features: network, layer, weights, input size, pixel scaling and output.

    Args:
        config: The encoder's settings.
        weights: Value of the key ``weights``; by default it is derived from the config.

    Returns:
        A flat dict that can be saved as JSON. A weights file is identified by its SHA-256, not by its path, and a
        preset by the SHA-256 of its files.

    Raises:
        CapsmithError: The weights file or the preset cannot be read.
    """
    spec = ENCODERS[config.type]
    weights = _weights(config) if weights is None else weights
    size = config.requested_size or config.size
    plugin = provider("encoder", config.type)
    return {
        "format": FEATURE_FORMAT,
        "type": config.type,
        "layer": config.layer or spec.layer or "last",
        "weights": weights,
        "size": list(size) if size else "the model's own",
        "preprocess": "the preset's own" if config.preset is not None else config.preprocess or spec.preprocess,
        "output": config.output,
        **({"plugin": f"sha256:{plugin.sha256}"} if plugin is not None else {}),
    }


def _weights(config: EncoderConfig) -> str:
    if config.preset is not None:
        return preset_hash(config.preset)
    if config.pretrain_on_words is not None and not Path(config.origin).exists():
        raise FeatureError(
            f"encoder.pretrain_on_words: {config.origin} is missing: `capsmith train` or `extract` creates it; to "
            "use a run's copy, set encoder.pretrain_on_words.output to the run, or to its encoder_1, encoder_2 …"
        )
    is_file = config.origin not in ("imagenet", "none")
    return f"sha256:{file_sha256(Path(config.origin).expanduser())}" if is_file else config.origin


def describe_differences(actual: dict[str, Any], expected: dict[str, Any], ignore: Collection[str] = ()) -> str:
    """Returns the differing keys of two fingerprints, such as ``"layer: mixed8 instead of last"``; empty if equal.

    Args:
        actual: One fingerprint.
        expected: The other.
        ignore: Keys that may differ.
    """
    keys = [key for key in (*expected, *actual) if actual.get(key) != expected.get(key) and key not in ignore]
    return ", ".join(
        f"{key}: {_shorten(actual.get(key))} instead of {_shorten(expected.get(key))}" for key in dict.fromkeys(keys)
    )


def _shorten(value: Any) -> str:
    text = str(value)
    limit = 19 if text.startswith("sha256:") else 60
    return text[:limit] + "…" if len(text) > limit else text
