"""Builds encoders: Keras models from pixels 0–255 to features, with the preprocessing inside."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from capsmith.core.errors import CheckpointError, FeatureError
from capsmith.vision.config import EncoderConfig
from capsmith.vision.custom import load_custom
from capsmith.vision.encoder_folder import EncoderFolder
from capsmith.vision.encoders import ENCODERS, Preprocess, pixel_scaling
from capsmith.vision.file_encoder import FileEncoder
from capsmith.vision.fingerprint import describe_differences, encoder_fingerprint
from capsmith.vision.foreign_encoder import file_encoder
from capsmith.vision.hub.description import HubEncoder, find_preset, is_saved, read_preset, saved_description
from capsmith.vision.hub.networks import preset_core, saved_core
from capsmith.vision.joined import joined_shape
from capsmith.vision.networks import build_network, layers_after
from capsmith.vision.regions import grid_of


@dataclass
class Encoder:
    """A CNN with its preprocessing.

    Attributes:
        model: Pixels 0–255 (B, H, W, 3), uint8 or float, to features (B, D) or (B, L, D), float32.
        core: The network alone, from preprocessed pixels to the chosen layer: the part that a run saves.
        image_size: Height and width of the input.
        feature_shape: (D,) pooled, or (L, D) grid, row by row from the top left.
        fingerprint: Everything that determines the features, see `capsmith.vision.fingerprint`.
        preset: Sizes and preprocessing of an encoder of keras-hub; None for others.
    """

    model: keras.Model
    core: keras.Model
    image_size: tuple[int, int]
    feature_shape: tuple[int, ...]
    fingerprint: dict[str, Any]
    preset: HubEncoder | None = None

    @property
    def parts(self) -> "tuple[Encoder, ...]":
        """The single encoders: several for a joined encoder, otherwise the encoder itself."""
        return (self,)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the regions; (1, 1) of a vector."""
        if len(self.feature_shape) == 1:
            return 1, 1
        if len(shape := self.core.output.shape) == 4:
            return int(shape[1]), int(shape[2])
        return grid_of(self.feature_shape[0], self.image_size)

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """Returns the features (B, D) or (B, L, D), float32, of uint8 images (B, H, W, 3)."""
        return np.asarray(self.model.predict_on_batch(pixels), np.float32)


@dataclass(frozen=True)
class JoinedEncoder:
    """Several encoders whose features are joined, see ``joined.py``.

    Attributes:
        parts: The encoders.
        feature_shape: Shape of one image's joined features: (D,) or (L, D).
    """

    parts: tuple[Encoder | FileEncoder, ...]
    feature_shape: tuple[int, ...]


AnyEncoder = Encoder | FileEncoder | JoinedEncoder
"""What turns images into features."""


def join_encoders(parts: Sequence[Encoder | FileEncoder]) -> AnyEncoder:
    """Returns the joined encoder, or the encoder itself when there is only one."""
    if len(parts) == 1:
        return parts[0]
    return JoinedEncoder(tuple(parts), joined_shape([part.feature_shape for part in parts]))


def build_encoders(configs: Sequence[EncoderConfig]) -> AnyEncoder:
    """Builds one encoder for each config and joins them; raises the errors of `build_encoder`."""
    return join_encoders([build_encoder(config) for config in configs])


def build_network_encoder(config: EncoderConfig) -> Encoder:
    """Builds an encoder that is a Keras network; arguments and errors as ``build_encoder``."""
    encoder = build_encoder(config)
    if isinstance(encoder, FileEncoder):
        raise FeatureError(f"encoder.type {config.type} is an ONNX file, whose layers cannot be trained")
    return encoder


def build_encoder(config: EncoderConfig) -> Encoder | FileEncoder:
    """Builds an encoder and loads its weights.

    With ``weights: none``, a frozen encoder gets the same random weights every time. A trainable one gets Keras's
    initial weights, which depend on `keras.utils.set_random_seed`.

    Raises:
        FeatureError: The weights cannot be loaded, the layer does not exist, or its output does not suit ``output``.
        CapsmithError: A preset cannot be loaded.
    """
    fingerprint = encoder_fingerprint(config)
    if config.type == "onnx":
        try:
            return file_encoder(Path(config.origin).expanduser(), config, fingerprint)
        except CheckpointError as error:
            raise FeatureError(f"encoder.weights: {error}") from error
    if config.preset is not None:
        return _hub_encoder(find_preset(config.preset), config, fingerprint)
    if config.type == "custom":
        core = load_custom(Path(config.weights).expanduser(), config.layer, config.size)
    else:
        core = build_network(config)
    return assemble_encoder(core, config, fingerprint)


def _hub_encoder(folder: Path, config: EncoderConfig, fingerprint: dict[str, Any]) -> Encoder:
    grid = config.output == "grid"
    if not is_saved(folder):
        preset = read_preset(folder, config.requested_size)
        return assemble_encoder(preset_core(preset, folder, grid), config, fingerprint, preset)
    preset, saved = saved_description(folder)
    if differences := describe_differences(fingerprint, saved):
        raise FeatureError(f"encoder.preset: {folder} has another encoder ({differences})")
    core = saved_core(preset, EncoderFolder(folder).weights, grid)
    return assemble_encoder(core, config, fingerprint, preset)


def assemble_encoder(
    core: keras.Model, config: EncoderConfig, fingerprint: dict[str, Any], preset: HubEncoder | None = None
) -> Encoder:
    """Adds preprocessing and pooling to a network, and sets which of its layers are trained.

    Args:
        core: From preprocessed pixels to the chosen layer.
        config: The encoder's settings.
        fingerprint: The encoder's fingerprint.
        preset: Sizes and preprocessing of an encoder of keras-hub.

    Raises:
        FeatureError: The layer's output does not suit ``output``, or the network has no known last block.
    """
    height, width = config.size or core.inputs[0].shape[1:3]
    pixels = keras.Input((height, width, 3), name="pixels")
    if preset is not None:
        scaled = layers.Rescaling(list(preset.scale), list(preset.offset), dtype="float32", name="scaling")(pixels)
    else:
        scaled = preprocess(pixels, config.preprocess or ENCODERS[config.type].preprocess)
    features = _pool(core(scaled), config)
    _set_trainable(core, config)
    model = keras.Model(pixels, features, name="encoder")
    if keras.backend.backend() == "tensorflow":
        model.jit_compile = False  # XLA's convolutions are ten times slower on a CPU (MobileNetV2)
    shape = tuple(int(n) for n in model.output_shape[1:])
    size = preset.image_size if preset is not None else (int(height), int(width))
    return Encoder(model, core, size, shape, fingerprint, preset)


def head_after(encoder: Encoder, config: EncoderConfig, layer: str) -> keras.Model:
    """Returns the part of an encoder from a layer's output (P, H, W, C) to its features. The layers are shared."""
    block = layers_after(encoder.core, layer)
    return keras.Model(block.inputs, _pool(block.outputs[0], config), name="rest")


def preprocess(pixels: Any, mode: Preprocess) -> Any:
    """Scales pixels 0–255 (B, H, W, 3) like the modes of the same names in `keras.applications`.

    The result is always float32: bfloat16 would round the pixels before the network sees them.
    """
    if mode == "none":
        return pixels
    if mode == "caffe":
        pixels = ops.flip(pixels, axis=-1)  # RGB to BGR
    scale, offset = pixel_scaling(mode)
    return layers.Rescaling(scale, offset, dtype="float32", name=mode)(pixels)


def _pool(features: Any, config: EncoderConfig) -> Any:
    rank = len(features.shape)
    if config.output == "pooled" and rank == 2:
        return features
    if rank not in (3, 4):
        layer = f"layer '{config.layer}'" if config.layer else "the encoder's last layer"
        raise FeatureError(f"encoder.output: {config.output} needs a grid, but {layer} gives {tuple(features.shape)}")
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
        before_block = ENCODERS[config.type].block
        if before_block is None:
            raise FeatureError(f"encoder.trainable: the last block of {config.type} is not known: set true or false")
        trained = {id(layer) for layer in layers_after(core, before_block).layers}
        for layer in core.layers:
            layer.trainable = id(layer) in trained
    if config.trainable and config.weights != "none":
        for layer in _all_layers(core):  # statistics of small batches would replace those of a large dataset
            if isinstance(layer, layers.BatchNormalization):
                layer.trainable = False


def _all_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from _all_layers(layer)
