"""Saves encoders in run directories and loads them from there."""

from collections.abc import Sequence
from pathlib import Path

from capsmith.core.errors import CheckpointError, FeatureError
from capsmith.core.files import read_json, write_json
from capsmith.vision.config import EncoderConfig
from capsmith.vision.custom import load_custom
from capsmith.vision.encoder import AnyEncoder, Encoder, assemble_encoder, join_encoders
from capsmith.vision.encoder_folder import EncoderFolder, encoder_folders
from capsmith.vision.file_encoder import FileEncoder
from capsmith.vision.fingerprint import MAY_DIFFER_IN_RUNS, describe_differences, encoder_fingerprint, file_sha256
from capsmith.vision.foreign_encoder import file_encoder
from capsmith.vision.hub.description import from_json
from capsmith.vision.hub.networks import saved_core
from capsmith.vision.networks import build_network
from capsmith.vision.weights import replacing


def save_encoders(encoder: AnyEncoder, run: Path) -> None:
    """Saves each encoder of a run; several encoders go to a folder each."""
    for part, folder in zip(encoder.parts, encoder_folders(run, len(encoder.parts)), strict=True):
        save_encoder(part, folder.path)


def load_encoders(configs: Sequence[EncoderConfig], run: Path) -> AnyEncoder:
    """Loads the encoders that `save_encoders` saved; raises the errors of `load_encoder`."""
    folders = encoder_folders(run, len(configs))
    return join_encoders([load_encoder(config, folder.path) for config, folder in zip(configs, folders, strict=True)])


def save_encoder(encoder: Encoder | FileEncoder, directory: Path) -> None:
    """Writes the weights, a custom encoder's complete network, or an ONNX encoder's file, and ``encoder.json``.

    Of a preset of keras-hub, the weights and the numbers that describe the image encoder are written, so that the run
    needs neither the preset nor a network connection.

    Args:
        encoder: A frozen or trained encoder. Only the network up to the chosen layer is saved.
        directory: The folder, see `EncoderFolder`; created when missing.

    Raises:
        CheckpointError: The disk is full, or the folder cannot be written.
    """
    folder = EncoderFolder(directory)
    fingerprint = dict(encoder.fingerprint)
    path = _network_file(folder, fingerprint["type"])
    if isinstance(encoder, FileEncoder):
        encoder.save(path)
        write_json(folder.description, {"fingerprint": fingerprint})
        return
    with replacing(path, encoder.core) as temporary:
        encoder.core.save(temporary) if path == folder.network else encoder.core.save_weights(temporary)
    if encoder.core.trainable:
        fingerprint["weights"] = f"sha256:{file_sha256(path)}"
    preset = {} if encoder.preset is None else {"preset": encoder.preset.as_json()}
    write_json(folder.description, {"fingerprint": fingerprint, **preset})


def load_encoder(config: EncoderConfig, directory: Path) -> Encoder | FileEncoder:
    """Loads an encoder that `save_encoder` saved. The weights that the config names are not needed.

    Raises:
        CheckpointError: Files are missing or damaged, or belong to another encoder than the config's.
    """
    folder = EncoderFolder(directory)
    path = _network_file(folder, config.type)
    description = read_json(folder.description, CheckpointError)
    saved = description.get("fingerprint") if isinstance(description, dict) else None
    if not isinstance(saved, dict) or not path.is_file():
        raise CheckpointError(f"{directory} is incomplete: {path.name} is missing, or encoder.json is damaged")
    expected = encoder_fingerprint(config, weights=str(saved.get("weights")))
    if differences := describe_differences(saved, expected, MAY_DIFFER_IN_RUNS):
        raise CheckpointError(f"{directory} contains another encoder than its config names ({differences})")
    if config.type == "onnx":
        return file_encoder(path, config, saved)
    try:
        if config.preset is not None:
            preset = from_json(description.get("preset"), folder.description)
            return assemble_encoder(saved_core(preset, path, config.output == "grid"), config, saved, preset)
        is_custom = config.type == "custom"
        core = load_custom(path, None, config.size) if is_custom else build_network(config, weights=path)
        return assemble_encoder(core, config, saved)
    except FeatureError as error:
        raise CheckpointError(f"{directory}: {error}") from error


def _network_file(folder: EncoderFolder, kind: str) -> Path:
    return {"custom": folder.network, "onnx": folder.exported}.get(kind, folder.weights)
