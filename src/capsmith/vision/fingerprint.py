"""Encoder fingerprints, which prevent features of different encoders from being mixed.

A fingerprint is computed without building the network, so a complete feature store opens without Keras.
"""

import functools
import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from capsmith.core.errors import FeatureError
from capsmith.core.loaded_plugins import provider
from capsmith.core.readers.regular_files import open_regular
from capsmith.vision.config import EncoderConfig
from capsmith.vision.encoders import ENCODERS

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
        A flat dict that can be saved as JSON. A weights file is identified by its SHA-256, not by its path.

    Raises:
        FeatureError: The weights file cannot be read.
    """
    spec = ENCODERS[config.type]
    if weights is None:
        if config.pretrain_on_words is not None and not Path(config.origin).exists():
            raise FeatureError(
                f"encoder.pretrain_on_words: {config.origin} is missing: `capsmith train` or `extract` creates it; to "
                "use a run's copy, set encoder.pretrain_on_words.output to the run, or to its encoder_1, encoder_2 …"
            )
        is_file = config.origin not in ("imagenet", "none")
        weights = f"sha256:{file_sha256(Path(config.origin).expanduser())}" if is_file else config.origin
    plugin = provider("encoder", config.type)
    return {
        "format": FEATURE_FORMAT,
        "type": config.type,
        "layer": config.layer or spec.layer or "last",
        "weights": weights,
        "size": list(config.size) if config.size else "the model's own",
        "preprocess": config.preprocess or spec.preprocess,
        "output": config.output,
        **({"plugin": f"sha256:{plugin.sha256}"} if plugin is not None else {}),
    }


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


def json_sha256(value: Any) -> str:
    """Returns the SHA-256 of a JSON value as 64 hexadecimal digits. The order of keys does not matter."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """Returns the SHA-256 of a file. Repeated calls read the file again only if it changed.

    Raises:
        FeatureError: The file does not exist or cannot be read.
    """
    try:
        open_regular(path).close()  # reading a pipe or a device would never end
        stat = path.stat()  # st_ctime_ns as well: any program can set st_mtime_ns, and cp -p and rsync do
        return _sha256(path, (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))
    except OSError as error:
        raise FeatureError(f"encoder weights {path}: {error.strerror or error}") from error


@functools.lru_cache(maxsize=64)
def _sha256(path: Path, state: tuple[int, ...]) -> str:
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _shorten(value: Any) -> str:
    text = str(value)
    limit = 19 if text.startswith("sha256:") else 60
    return text[:limit] + "…" if len(text) > limit else text
