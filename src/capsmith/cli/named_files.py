"""Checks that the files and folders that a config names exist."""

from collections.abc import Iterator
from pathlib import Path

from capsmith.config import AnyConfig, find_config
from capsmith.core.errors import CapsmithError, ConfigError, escaped, one_line
from capsmith.core.starter import STARTER, has_starter, is_starter
from capsmith.vision.config import EncoderConfig


def require_files(config: AnyConfig, where: str) -> None:
    """Checks that the files and folders of a config exist, except those that its training creates.

    Args:
        config: The config.
        where: Its source, for messages.

    Raises:
        ConfigError: Files are missing; the message lists all of them.
    """
    lines = [escaped(line) for line in missing(config)]
    if len(lines) == 1:
        raise ConfigError(f"{where} is valid, but a file is missing: {lines[0]}")
    if lines:
        raise ConfigError(f"{where} is valid, but {len(lines)} files are missing:\n  " + "\n  ".join(lines))


def missing(config: AnyConfig) -> Iterator[str]:
    """Yields a line for each missing file or folder, as in ``encoder.weights: no file cnn.weights.h5``."""
    yield from config.data.missing()
    several = isinstance(config.encoder, tuple)
    for number, encoder in enumerate(config.encoders):
        yield from _of_encoder(encoder, f"encoder.{number}" if several else "encoder")
    files = {f"{config.words_key}.vectors": config.words.vectors}
    yield from (f"{key}: no file {path}" for key, path in files.items() if path is not None and not path.is_file())
    folders = {"features.store": config.features.store, "training.transfer_from": config.transferred_from}
    if config.stage_one is None:
        folders["training.resume_weights_from"] = config.weights_from
    for key, path in folders.items():
        if path is not None and is_starter(path):
            yield from () if has_starter() else (f"{key}: the starter is not in this installation",)
        elif path is not None and not path.is_dir():
            yield f"{key}: no folder {path}"
    configs = {"training.stage_one.config": config.stage_one[1].config if config.stage_one else None}
    configs |= {f"ensemble.{number}.config": member.config for number, member in enumerate(config.ensemble)}
    for key, name in configs.items():
        if name is not None:
            yield from _of_config(key, name)


def _of_encoder(encoder: EncoderConfig, key: str) -> Iterator[str]:
    if encoder.preset is not None:
        path = Path(encoder.preset).expanduser()
        if path.name != encoder.preset and not path.is_dir():
            yield f"{key}.preset: no folder {encoder.preset}"
    elif encoder.type == "onnx" and encoder.weights == STARTER:
        if not has_starter():
            yield f"{key}.weights: the starter is not in this installation"
    elif encoder.weights not in ("imagenet", "none") and not Path(encoder.weights).expanduser().is_file():
        yield f"{key}.weights: no file {encoder.weights}"


def _of_config(key: str, name: str) -> Iterator[str]:
    try:
        find_config(name)
    except CapsmithError as error:
        yield f"{key}: {one_line(error)}"
