"""What makes two encoders the same, so that features of different ones are never mixed.

Everything here is known without building the network: a complete cache opens without Keras.
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
"""Goes up when the same encoder would give other numbers, as when images are resized in another way."""


def fingerprint(config: EncoderConfig, weights: str | None = None) -> dict[str, Any]:
    """Returns what decides the features: network, layer, weights, input size, pixel scaling and output.

    Args:
        config: The encoder's settings.
        weights: What to enter for the weights; by default the config's are looked at.

    Returns:
        A flat dict fit for JSON. A weights file counts by its content (SHA-256), not by its path.

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
        named = config.origin in ("imagenet", "none")
        weights = config.origin if named else f"sha256:{file_hash(Path(config.origin).expanduser())}"
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


OF_A_RUN = ("plugin",)
"""What may differ from a run's own fingerprint: a plugin's other version is told when the run is read."""


def digest(value: Any) -> str:
    """Returns the SHA-256 of a JSON value as 64 hexadecimal digits; the order of keys does not matter."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def differences(found: dict[str, Any], expected: dict[str, Any], but: Collection[str] = ()) -> str:
    """Returns the keys in which two fingerprints differ, as in ``"layer: mixed8 instead of last"``; empty if none.

    Args:
        found: One fingerprint.
        expected: The other.
        but: Keys that may differ.
    """
    keys = [key for key in (*expected, *found) if found.get(key) != expected.get(key) and key not in but]
    return ", ".join(
        f"{key}: {_short(found.get(key))} instead of {_short(expected.get(key))}" for key in dict.fromkeys(keys)
    )


def file_hash(path: Path) -> str:
    """Returns the SHA-256 of a file; repeated calls read the file again only if it changed.

    Raises:
        FeatureError: The file is missing or cannot be read.
    """
    try:
        open_regular(path).close()  # a pipe or a device would never end
        stat = path.stat()  # st_ctime_ns: st_mtime_ns is what anybody may set, as cp -p and rsync do
        return _hash(path, (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))
    except OSError as error:
        raise FeatureError(f"encoder weights {path}: {error.strerror or error}") from error


@functools.lru_cache(maxsize=64)
def _hash(path: Path, state: tuple[int, ...]) -> str:
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _short(value: Any) -> str:
    text = str(value)
    longest = 19 if text.startswith("sha256:") else 60
    return text[:longest] + "…" if len(text) > longest else text
