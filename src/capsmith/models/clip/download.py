"""Fetches CLIP presets by name, through keras-hub's registry, into the cache of kagglehub."""

import importlib
import json
import sys
import threading
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType

from capsmith.core.errors import ConfigError, MissingExtraError, escaped, one_line
from capsmith.core.spelling import nearest
from capsmith.models.clip.preset import CONVERTER, FILES, SHARDS, WEIGHTS

PATIENCE = 10
"""Seconds to wait for the first answer: kagglehub itself waits for each of several addresses in turn."""
_HANDLE = "kaggle://"
_OFFLINE = "on a machine without network pass the folder of a preset, see docs/clip.md"


def fetch_preset(name: str) -> Path:
    """Returns the folder of a preset of keras-hub, after downloading what is not cached.

    Args:
        name: Such as ``clip_vit_base_patch32``.

    Raises:
        ConfigError: No CLIP preset has this name, or the files cannot be had.
        MissingExtraError: keras-hub is not installed.
    """
    handle = preset_handles().get(name)
    if handle is None:
        known = sorted(preset_handles())
        raise ConfigError(
            f"--engine clip:{escaped(name)}: neither a folder nor a CLIP preset{nearest(name, known)} "
            f"(presets: {', '.join(known)})"
        )
    kagglehub = importlib.import_module("kagglehub")  # comes with keras-hub
    handle = handle.removeprefix(_HANDLE)

    def fetch(file: str) -> Path:
        return Path(kagglehub.model_download(handle, file))

    try:
        with redirect_stdout(sys.stderr):  # kagglehub prints about newer versions of itself
            config = within(PATIENCE, lambda: fetch("config.json"))
            for file in FILES:
                fetch(file)
            _fetch_if_there(fetch, CONVERTER)
            if not _fetch_if_there(fetch, WEIGHTS):
                for shard in sorted(_shards(fetch(SHARDS))):
                    fetch(shard)
    except Exception as error:  # no network, refused, disk full, interrupted transfer
        reason = one_line(error)[:200] if str(error) else type(error).__name__
        raise ConfigError(f"--engine clip:{name}: its files cannot be downloaded ({reason}); {_OFFLINE}") from error
    return config.parent


def preset_handles() -> dict[str, str]:
    """Returns the Kaggle handle of each CLIP preset that the installed keras-hub knows.

    Raises:
        MissingExtraError: keras-hub is not installed.
    """
    presets = import_keras_hub().models.CLIPBackbone.presets
    return {name: str(entry["kaggle_handle"]) for name, entry in presets.items()}


def import_keras_hub() -> ModuleType:
    """Returns the package keras-hub. It loads TensorFlow's text library where that is installed.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import keras_hub
    except ImportError as error:
        raise MissingExtraError("keras-hub", "clip", "--engine clip:") from error
    package: ModuleType = keras_hub
    return package


def within(seconds: float, function: Callable[[], Path]) -> Path:
    """Returns a function's result.

    Raises:
        TimeoutError: It took too long; it continues in the background until the process ends.
    """
    results: list[Path | BaseException] = []

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:
            results.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not results:
        raise TimeoutError(f"no answer within {seconds:g} s")
    if isinstance(results[0], BaseException):
        raise results[0]
    return results[0]


def _fetch_if_there(fetch: Callable[[str], Path], file: str) -> bool:
    """Fetches a file that not every preset has."""
    try:
        fetch(file)
    except Exception as error:
        if "404" in str(error) or "not present in the model files" in str(error):
            return False
        raise
    return True


def _shards(index: Path) -> set[str]:
    names: set[str] = set()
    for value in json.loads(index.read_bytes())["weight_map"].values():
        names.update([value] if isinstance(value, str) else value)
    return names
