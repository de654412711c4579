"""Image encoders in ONNX files that other programs wrote: ``encoder.type: onnx`` with ``preprocess``. No Keras.

P images · L regions · D channels.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np

from capsmith.core.errors import CheckpointError
from capsmith.core.onnx_session import TensorInfo, open_foreign
from capsmith.vision.config import EncoderConfig
from capsmith.vision.encoders import Preprocess, pixel_scaling
from capsmith.vision.file_encoder import FileEncoder
from capsmith.vision.framing import ImageSize, Resize
from capsmith.vision.regions import grid_of

_DTYPES = {"float": np.float32, "float16": np.float16, "uint8": np.uint8}
_MAX_SIDE = 4096
_PATIENCE = 120.0  # seconds that one image may take
_ADVICE = "export an image encoder that takes one image and returns features"


def file_encoder(path: Path, config: EncoderConfig, fingerprint: dict[str, Any]) -> FileEncoder:
    """Opens an ONNX file as an encoder: that of an export, or of another program if ``preprocess`` is set.

    Args:
        path: The file.
        config: The encoder's settings.
        fingerprint: The encoder's fingerprint.

    Raises:
        CheckpointError: The file cannot be used.
    """
    if config.preprocess is None:
        return FileEncoder(path, config.output, fingerprint)
    return ForeignEncoder(path, config, config.preprocess, fingerprint)


class ForeignEncoder(FileEncoder):
    """An image encoder with one input of scaled pixels, (P, 3, H, W) or (P, H, W, 3).

    Args:
        path: The file.
        config: The encoder's settings: ``layer`` names the output; ``image_size`` is needed if the file takes any.
        mode: How pixels are scaled.
        fingerprint: The encoder's fingerprint.

    Raises:
        CheckpointError: The file cannot be used.
    """

    def __init__(self, path: Path, config: EncoderConfig, mode: Preprocess, fingerprint: dict[str, Any]) -> None:
        self._read(path, fingerprint)
        self.path = path
        self._session = open_foreign(path, _ADVICE, _PATIENCE)
        if len(infos := self._session.input_infos) != 1:
            names = ", ".join(info.name[:40] for info in infos[:8]) or "none"
            raise CheckpointError(f"{path} has the inputs {names}: {_ADVICE}")
        self._input = infos[0]
        self._mode = mode
        self._last = _channels_last(path, self._input)
        if self._input.dtype == "uint8" and mode != "none":
            raise CheckpointError(
                f"{path} takes whole numbers from 0 to 255: remove encoder.preprocess for the encoder of an export, "
                f"or set preprocess: none instead of {mode}"
            )
        height, width = _size(path, self._input, self._last, config.requested_size)
        crops = mode == "clip" and height == width
        self.image_size = ImageSize(height, width, Resize("bicubic", height)) if crops else (height, width)
        outputs = self._computed(np.full((1, height, width, 3), 127, np.uint8))
        self._output = _choose(path, dict(zip(self._session.outputs, outputs, strict=True)), config)
        features = self._features(outputs)
        self.feature_shape = features.shape[1:]
        found = outputs[self._output]
        self.grid = grid_of(self.feature_shape[0] if len(self.feature_shape) == 2 else 1, (height, width))
        if len(self.feature_shape) == 2 and found.ndim == 4:
            self.grid = (found.shape[1], found.shape[2]) if self._last else (found.shape[2], found.shape[3])

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """Returns the features (P, D) or (P, L, D), float32, of images (P, H, W, 3) in 0–255."""
        features = np.empty((len(pixels), *self.feature_shape), np.float32)
        for number in range(len(pixels)):
            own = self._features(self._computed(pixels[number : number + 1]))
            if own.shape != (1, *self.feature_shape):
                raise CheckpointError(f"{self.path} gives features {own.shape}, not {(1, *self.feature_shape)}")
            features[number] = own[0]
        return features

    def _computed(self, pixels: np.ndarray) -> list[np.ndarray]:
        scale, offset = (np.asarray(values, np.float32) for values in pixel_scaling(self._mode))
        channels = pixels[..., ::-1] if self._mode == "caffe" else pixels
        scaled = channels.astype(np.float32) * scale + offset
        fed = scaled if self._last else scaled.transpose(0, 3, 1, 2)
        return self._session({self._input.name: np.ascontiguousarray(fed, _DTYPES[self._input.dtype])})

    def _features(self, outputs: list[np.ndarray]) -> np.ndarray:
        """Returns the chosen output as (1, D) or (1, L, D), without a class token."""
        found = np.asarray(outputs[self._output], np.float32)
        if found.ndim == 4 and not self._last:
            found = found.transpose(0, 2, 3, 1)
        if found.ndim == 4:
            found = found.reshape(len(found), -1, found.shape[-1])
            return found[:, 0] if self.fingerprint["output"] == "pooled" else found
        if found.ndim == 3 and _has_class_token(found.shape[1], self.image_size):
            return found[:, 1:]
        return found


def _channels_last(path: Path, info: TensorInfo) -> bool:
    shape = info.shape
    usable = info.dtype in _DTYPES and len(shape) == 4 and (not isinstance(shape[0], int) or shape[0] == 1)
    if not usable or 3 not in (shape[1], shape[3]):
        stated = f"{info.dtype[:40]} {list(shape)[:8]}"
        raise CheckpointError(f"{path}: its input {info.name[:40]!r} is {stated}, not single images of 3 channels")
    return shape[1] != 3


def _size(path: Path, info: TensorInfo, last: bool, requested: tuple[int, int] | None) -> tuple[int, int]:
    sides = info.shape[1:3] if last else info.shape[2:4]
    fixed = tuple(side if isinstance(side, int) else None for side in sides)
    if requested is None and None in fixed:
        raise CheckpointError(f"{path} takes any image size: set encoder.image_size")
    if requested and any(own not in (None, side) for own, side in zip(fixed, requested, strict=True)):
        raise CheckpointError(f"encoder.image_size is {requested}, but {path} takes {fixed}")
    height, width = requested or (int(fixed[0] or 0), int(fixed[1] or 0))
    if not (1 <= height <= _MAX_SIDE and 1 <= width <= _MAX_SIDE):
        raise CheckpointError(f"{path}: its input is {height} x {width} pixels; up to {_MAX_SIDE} a side are computed")
    return height, width


def _choose(path: Path, outputs: dict[str, np.ndarray], config: EncoderConfig) -> int:
    """Returns the number of the output whose shape is that of the wanted features, or whose name is set."""
    fits = {
        name: found.dtype.kind == "f" and len(found) == 1 and found.size > 0 and _is_wanted(found.shape, config.output)
        for name, found in outputs.items()
        if found.ndim
    }
    shown = ", ".join(f"{name[:40]} {found.shape}" for name, found in list(outputs.items())[:8])
    if config.layer is not None:
        if not fits.get(config.layer):
            raise CheckpointError(f"{path} has no output {config.layer!r} that is {config.output}: it has {shown}")
        return list(outputs).index(config.layer)
    wanted = [name for name, is_wanted in fits.items() if is_wanted]
    if len(wanted) != 1:
        several = f"{len(wanted)} outputs" if wanted else "no output"
        raise CheckpointError(f"{path} has {several} that may be {config.output}: set encoder.layer; it has {shown}")
    return list(outputs).index(wanted[0])


def _is_wanted(shape: tuple[int, ...], output: str) -> bool:
    if output == "grid":
        return len(shape) == 3 or (len(shape) == 4 and shape[1:].count(1) < 2)
    return len(shape) == 2 or (len(shape) == 4 and shape[1:].count(1) >= 2)


def _has_class_token(tokens: int, size: tuple[int, int]) -> bool:
    """Returns whether a sequence of a square image is a token longer than a square."""
    return size[0] == size[1] and math.isqrt(tokens) ** 2 != tokens and math.isqrt(tokens - 1) ** 2 == tokens - 1
