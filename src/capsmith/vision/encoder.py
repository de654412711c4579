"""Builds encoders: pixels 0–255 in, features out, everything between inside one Keras model."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from capsmith.core import files as runs
from capsmith.core.errors import CheckpointError, FeatureError
from capsmith.vision.config import EncoderConfig
from capsmith.vision.custom import load_custom
from capsmith.vision.encoders import ENCODERS, Preprocess
from capsmith.vision.fingerprint import OF_A_RUN, differences, file_hash, fingerprint
from capsmith.vision.joined import JoinedEncoder, folders, joined_shape
from capsmith.vision.networks import behind, build_core
from capsmith.vision.weights import replacing


@dataclass
class Encoder:
    """A CNN with its preprocessing.

    Attributes:
        model: Pixels 0–255 (B, H, W, 3), uint8 or float, to features (B, D) or (B, L, D), float32.
        core: The network alone, from preprocessed pixels to the cut: what a run directory keeps.
        image_size: Height and width of the input.
        feature_shape: (D,) pooled, or (L, D) grid, row by row from the top left.
        fingerprint: What decides the features, see `capsmith.vision.fingerprint`.
    """

    model: keras.Model
    core: keras.Model
    image_size: tuple[int, int]
    feature_shape: tuple[int, ...]
    fingerprint: dict[str, Any]

    @property
    def parts(self) -> "tuple[Encoder, ...]":
        """The encoder itself, as the one part of what may be several (see ``joined.py``)."""
        return (self,)

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """Returns the features (B, D) or (B, L, D), float32, of uint8 images (B, H, W, 3)."""
        return np.asarray(self.model.predict_on_batch(pixels), np.float32)


def build_encoders(configs: Sequence[EncoderConfig]) -> Encoder | JoinedEncoder:
    """Builds the encoder that configs name, joined when they are several; raises as `build_encoder`."""
    return join_encoders([build_encoder(config) for config in configs])


def save_encoders(encoder: Encoder | JoinedEncoder, directory: Path) -> None:
    """Keeps each part as `save_encoder` does, in folders of their own when there are several."""
    for part, folder in zip(encoder.parts, folders(directory, len(encoder.parts)), strict=True):
        save_encoder(part, folder)


def load_encoders(configs: Sequence[EncoderConfig], directory: Path) -> Encoder | JoinedEncoder:
    """Loads what `save_encoders` kept; raises as `load_encoder`."""
    places = zip(configs, folders(directory, len(configs)), strict=True)
    return join_encoders([load_encoder(config, folder) for config, folder in places])


def join_encoders(parts: Sequence[Encoder]) -> Encoder | JoinedEncoder:
    """Returns encoders as one whose features are joined; a single one as it is."""
    if len(parts) == 1:
        return parts[0]
    return JoinedEncoder(tuple(parts), joined_shape([part.feature_shape for part in parts]))


def build_encoder(config: EncoderConfig) -> Encoder:
    """Builds the encoder that a config names, with its weights.

    With ``weights: none`` a frozen encoder gets the same random weights every time; a trainable one gets Keras's
    own initial weights, which follow `keras.utils.set_random_seed`.

    Raises:
        FeatureError: Weights that cannot be had or do not fit, no such layer, or an output that the cut cannot give.
    """
    found = fingerprint(config)
    if config.type == "custom":
        core = load_custom(Path(config.weights).expanduser(), config.layer, config.size)
    else:
        core = build_core(config)
    return _assemble(core, config, found)


def rest_of(encoder: Encoder, config: EncoderConfig, after: str) -> keras.Model:
    """Returns an encoder's part from a layer's output (P, H, W, C) on to its features; the layers are its own."""
    block = behind(encoder.core, after)
    return keras.Model(block.inputs, _output(block.outputs[0], config), name="rest")


def save_encoder(encoder: Encoder, directory: Path) -> None:
    """Keeps all that `load_encoder` needs: ``encoder.weights.h5`` or ``encoder.keras``, and ``encoder.json``.

    Args:
        encoder: Trained or not; only the part up to the cut is kept.
        directory: The run directory; made when missing.

    Raises:
        CheckpointError: The disk is full, or the folder cannot be written.
    """
    name = _file_name(encoder.fingerprint["type"])
    found = dict(encoder.fingerprint)
    with replacing(directory / name, encoder.core) as temporary:
        encoder.core.save(temporary) if name.endswith(".keras") else encoder.core.save_weights(temporary)
    if encoder.core.trainable:
        found["weights"] = f"sha256:{file_hash(directory / name)}"
    runs.write_json(directory / "encoder.json", {"fingerprint": found})


def load_encoder(config: EncoderConfig, directory: Path) -> Encoder:
    """Loads what `save_encoder` kept; the weights that the config names are not needed.

    Raises:
        CheckpointError: Files are missing or damaged, or belong to another encoder than the config's.
    """
    path = directory / _file_name(config.type)
    note = runs.read_json(directory / "encoder.json", CheckpointError)
    found = note.get("fingerprint") if isinstance(note, dict) else None
    if not isinstance(found, dict) or not path.is_file():
        raise CheckpointError(f"{directory} is incomplete: it lacks {path.name}, or encoder.json is damaged")
    if differs := differences(found, fingerprint(config, weights=str(found.get("weights"))), OF_A_RUN):
        raise CheckpointError(f"{directory} holds another encoder than its config says ({differs})")
    try:
        custom = config.type == "custom"
        core = load_custom(path, None, config.size) if custom else build_core(config, weights=path)
        return _assemble(core, config, found)
    except FeatureError as error:
        raise CheckpointError(f"{directory}: {error}") from error


def preprocess(pixels: Any, mode: Preprocess) -> Any:
    """Scales pixels 0–255 (B, H, W, 3), as `keras.applications` does under the same names.

    Always in float32: bfloat16 would round pixels before the network sees them.
    """
    if mode == "none":
        return pixels
    if mode == "caffe":
        pixels = ops.flip(pixels, axis=-1)  # to blue, green, red
    deviation = np.array([0.229, 0.224, 0.225])
    scale, offset = {
        "caffe": (1.0, [-103.939, -116.779, -123.68]),
        "tf": (1 / 127.5, -1.0),
        "torch": (list(1 / 255 / deviation), list(-np.array([0.485, 0.456, 0.406]) / deviation)),
        "unit": (1 / 255, 0.0),
    }[mode]
    return layers.Rescaling(scale, offset, dtype="float32", name=mode)(pixels)


def _assemble(core: keras.Model, config: EncoderConfig, found: dict[str, Any]) -> Encoder:
    height, width = config.size or core.inputs[0].shape[1:3]
    pixels = keras.Input((height, width, 3), name="pixels")
    features = _output(core(preprocess(pixels, config.preprocess or ENCODERS[config.type].preprocess)), config)
    _set_trainable(core, config)
    model = keras.Model(pixels, features, name="encoder")
    if keras.backend.backend() == "tensorflow":
        model.jit_compile = False  # XLA's convolutions are ten times slower on a CPU (MobileNetV2)
    shape = tuple(int(n) for n in model.output_shape[1:])
    return Encoder(model, core, (int(height), int(width)), shape, found)


def _output(features: Any, config: EncoderConfig) -> Any:
    rank = len(features.shape)
    if config.output == "pooled" and rank == 2:
        return features
    if rank not in (3, 4):
        at = f"'{config.layer}'" if config.layer else "the encoder's last layer"
        raise FeatureError(f"encoder.output: {config.output} needs a grid, but {at} gives {tuple(features.shape)}")
    grid = layers.Reshape((-1, features.shape[-1]), name="grid")(features) if rank == 4 else features
    if config.output == "grid":
        return grid
    mean = layers.GlobalAveragePooling1D(name="mean")(grid)
    if ENCODERS[config.type].pooling == "mean":
        return mean
    return layers.Concatenate(name="mean_max")([mean, layers.GlobalMaxPooling1D(name="max")(grid)])


def _set_trainable(core: keras.Model, config: EncoderConfig) -> None:
    core.trainable = bool(config.trainable)
    if config.trainable == "last_block":
        block = ENCODERS[config.type].block
        if block is None:
            raise FeatureError(f"encoder.trainable: {config.type} has no last block that is known: say true or false")
        learning = {id(layer) for layer in behind(core, block).layers}
        for layer in core.layers:
            layer.trainable = id(layer) in learning
    if config.trainable and config.weights != "none":
        for layer in _all_layers(core):  # statistics of few images would spoil those of a whole data set
            if isinstance(layer, layers.BatchNormalization):
                layer.trainable = False


def _all_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from _all_layers(layer)


def _file_name(kind: str) -> str:
    return "encoder.keras" if kind == "custom" else "encoder.weights.h5"
