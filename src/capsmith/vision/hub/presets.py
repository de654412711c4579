"""Presets of keras-hub by folder or by name. A name is looked up in the installed library's tables and downloaded once.

Files go through kagglehub into its cache. Nothing is deserialized here: ``config.json`` is read as JSON.
"""

import importlib
import json
import sys
import threading
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from capsmith.core.errors import CheckpointError, ConfigError, FeatureError, MissingExtraError, escaped, one_line
from capsmith.core.readers.json_files import read_json
from capsmith.core.spelling import nearest
from capsmith.vision.hashes import file_sha256

PATIENCE = 10
"""Seconds to wait for the first answer: kagglehub itself waits for each of several addresses in turn."""
CONFIG, CONVERTER = "config.json", "image_converter.json"
WEIGHTS, SHARDS = "model.weights.h5", "model.weights.json"
ADVICE = "copy the preset's folder again"
_HANDLE = "kaggle://"


@dataclass(frozen=True)
class PresetKind:
    """The presets that one part of capsmith takes, and how its messages name them.

    Attributes:
        prefix: What stands before the preset's name in a command or a config, such as ``--engine clip:``.
        noun: What a preset is called, such as ``CLIP preset``.
        classes: Names of the classes in ``keras_hub.models`` whose presets these are; a preset's ``config.json``
            names one of them.
        files: Files that each preset has, besides ``config.json`` and its weights.
        optional: Files that some presets have.
        docs: The page that says how to copy a preset to a machine without network.
        extra: The extra of capsmith that installs keras-hub.
    """

    prefix: str
    noun: str
    classes: tuple[str, ...]
    files: tuple[str, ...] = ()
    optional: tuple[str, ...] = (CONVERTER,)
    docs: str = "docs/hub_encoders.md"
    extra: str = "hub"


def preset_folder(name: str, kind: PresetKind) -> Path:
    """Returns the folder of a preset, after downloading what is missing.

    Args:
        name: A folder, or the name of a preset that the installed keras-hub knows, such as ``clip_vit_base_patch32``.
        kind: What is expected.

    Raises:
        ConfigError: There is no such folder, no preset has this name, or its files cannot be had.
        MissingExtraError: keras-hub is not installed.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if folder.exists() or folder.name != name:
        raise ConfigError(f"{kind.prefix}{escaped(name)}: no such folder")
    return fetch_preset(name, kind)


def fetch_preset(name: str, kind: PresetKind) -> Path:
    """Returns the folder of a preset of keras-hub, after downloading what is not cached; raises as `preset_folder`."""
    handles = preset_handles(kind)
    if (handle := handles.get(name)) is None:
        known = sorted(handles)
        raise ConfigError(
            f"{kind.prefix}{escaped(name)}: neither a folder nor a {kind.noun}{nearest(name, known)} "
            f"(presets: {', '.join(known)})"
        )
    kagglehub = importlib.import_module("kagglehub")  # comes with keras-hub
    handle = handle.removeprefix(_HANDLE)

    def fetch(file: str) -> Path:
        return Path(kagglehub.model_download(handle, file))

    try:
        with redirect_stdout(sys.stderr):  # kagglehub prints about newer versions of itself
            return _fetch_files(fetch, kind)
    except Exception as error:  # no network, refused, disk full, interrupted transfer
        raise ConfigError(
            f"{kind.prefix}{name}: its files cannot be downloaded ({_reason(error)}); on a machine without network pass the "
            f"folder of a preset, see {kind.docs}"
        ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and "Max retries exceeded" in str(error):  # requests' message has the whole address
        return "api.kaggle.com cannot be reached"
    return one_line(error)[:200] if str(error) else type(error).__name__


def preset_handles(kind: PresetKind) -> dict[str, str]:
    """Returns the Kaggle handle of each preset of this kind that the installed keras-hub knows.

    Raises:
        MissingExtraError: keras-hub is not installed.
    """
    models = import_keras_hub(kind.prefix, kind.extra).models
    classes = [getattr(models, name) for name in kind.classes if hasattr(models, name)]  # older versions have fewer
    return {name: str(entry["kaggle_handle"]) for each in classes for name, entry in each.presets.items()}


def import_keras_hub(purpose: str, extra: str = "hub") -> ModuleType:
    """Returns the package keras-hub. It loads TensorFlow's text library where that is installed.

    Args:
        purpose: What requires it, for the message.
        extra: The extra of capsmith that installs it.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import keras_hub
    except ImportError as error:
        raise MissingExtraError("keras-hub", extra, purpose.strip()) from error
    package: ModuleType = keras_hub
    return package


def read_config(folder: Path, kind: PresetKind) -> dict[str, Any]:
    """Returns the content of a preset's ``config.json``, whose ``class_name`` is one of the kind's classes.

    Raises:
        CheckpointError: The folder holds no preset of keras-hub, or one of another kind.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise CheckpointError(f"{folder} is not a keras-hub preset: it has no config.json")
    config = read_json(path, CheckpointError)
    name = config.get("class_name") if isinstance(config, dict) else None
    if name in kind.classes:
        return dict(config)
    if isinstance(config, dict) and name is None and "model_type" in config:
        raise CheckpointError(
            f"{folder} is a Hugging Face folder: a {kind.noun} of keras-hub is needed, see {kind.docs}"
        )
    named = f"holds a {escaped(str(name))[:60]}" if name else "is not a keras-hub preset"
    wanted = " or ".join(filter(None, [", ".join(kind.classes[:-1]), kind.classes[-1]]))
    raise CheckpointError(f"{folder} {named}: {kind.prefix.strip()} needs the preset of a {wanted}")


def require_files(folder: Path, kind: PresetKind) -> None:
    """Raises CheckpointError if a preset lacks files that each of its kind has, or its weights."""
    missing = [name for name in (CONFIG, *kind.files) if not (folder / name).is_file()]
    if not ((folder / WEIGHTS).is_file() or (folder / SHARDS).is_file()):
        missing.append(WEIGHTS)
    if missing:
        raise CheckpointError(f"{folder} is not a complete {kind.noun}: {', '.join(missing)} missing; {ADVICE}")


def weights_file(folder: Path) -> Path:
    """Returns the file that holds a preset's weights, or lists the files that do."""
    path = folder / WEIGHTS
    return path if path.exists() else folder / SHARDS


def file_hashes(folder: Path, kind: PresetKind) -> dict[str, str]:
    """Returns the SHA-256 of each of a preset's files that determine what it computes.

    Raises:
        CheckpointError: A file cannot be read.
    """
    weights = sorted(path.name for path in folder.glob("model*.weights.h5"))
    names = [CONFIG, *kind.files, *kind.optional, *weights]
    try:
        return {name: file_sha256(path) for name in names if (path := folder / name).exists()}
    except FeatureError as error:
        raise CheckpointError(str(error).removeprefix("encoder weights ")) from error


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


def _fetch_files(fetch: Callable[[str], Path], kind: PresetKind) -> Path:
    config = within(PATIENCE, lambda: fetch(CONFIG))
    for file in kind.files:
        fetch(file)
    for file in kind.optional:
        _fetch_if_there(fetch, file)
    if not _fetch_if_there(fetch, WEIGHTS):
        for shard in sorted(_shards(fetch(SHARDS))):
            fetch(shard)
    return config.parent


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
