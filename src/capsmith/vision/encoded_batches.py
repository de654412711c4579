"""Decodes and encodes images in batches of one size: what local extraction and the workers of a sharded job share."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from capsmith.core.errors import FeatureError, ImageError, memory_advice
from capsmith.vision.cached_crops import crop_of
from capsmith.vision.config import EncoderConfig, FeaturesConfig
from capsmith.vision.loading import load_images

if TYPE_CHECKING:
    from capsmith.vision.encoder import Encoder
    from capsmith.vision.file_encoder import FileEncoder

_PREFETCHED_BATCHES = 3
_MIN_IMAGES_TO_TIME = 1000  # with fewer images, timing both precisions costs more than it gains


@dataclass(frozen=True)
class SourceImage:
    """An image to encode.

    Attributes:
        id: Its id.
        source: Its path, or a function that returns the bytes of its file; a decoding thread calls it.
        size: Bytes of its file; -1 for a missing file.
    """

    id: str
    source: Path | Callable[[], bytes]
    size: int


@dataclass(frozen=True)
class EncodedBatch:
    """The features of some images.

    Attributes:
        images: The readable images.
        features: Their features, (len(images), *shape) float32.
        unreadable: Images found unreadable since the previous batch, as in ``Manifest.broken``.
    """

    images: list[SourceImage]
    features: np.ndarray
    unreadable: dict[str, dict[str, Any]]

    def __len__(self) -> int:
        return len(self.images) + len(self.unreadable)


def encoded_batches(
    images: Iterable[SourceImage], encoder: "Encoder | FileEncoder", batch_size: int, workers: int, crop: int = 0
) -> Iterator[EncodedBatch]:
    """Yields the features of images in order, ``batch_size`` readable images at a time; the last batch may be smaller.

    The input of the network is always padded to ``batch_size``, so it is compiled once.

    Args:
        images: The images; at most three batches are decoded in advance.
        encoder: The network.
        batch_size: Images of a batch.
        workers: Number of decoding threads.
        crop: Number of the cached crop, see ``cached_crops.py``; 0 for the complete images.
    """
    kept: list[SourceImage] = []
    pixels: list[np.ndarray] = []
    unreadable: dict[str, dict[str, Any]] = {}
    sources = ((image, image.source) for image in images)
    prefetch = _PREFETCHED_BATCHES * batch_size
    for image, result in load_images(
        sources, encoder.image_size, workers, prefetch, lambda image: crop_of(image.id, crop), lambda image: image.id
    ):
        if isinstance(result, ImageError):
            unreadable[image.id] = {"reason": str(result), "size": image.size}
            continue
        kept.append(image)
        pixels.append(result)
        if len(kept) == batch_size:
            yield EncodedBatch(kept, _encode(encoder, pixels, batch_size), unreadable)
            kept, pixels, unreadable = [], [], {}
    if kept or unreadable:
        yield EncodedBatch(kept, _encode(encoder, pixels, batch_size), unreadable)


def as_stored(features: np.ndarray, dtype: str) -> np.ndarray:
    """Converts features to the precision in which they are stored.

    Raises:
        FeatureError: They are not finite then.
    """
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(features, dtype)
    if not np.isfinite(values).all():
        raise FeatureError(
            f"the encoder gives features up to {np.abs(features).max():g}, which are not finite or too large for "
            f"{dtype}: do its weights and preprocessing match?"
        )
    return values


def stored_dtype(config: EncoderConfig) -> str:
    """Returns the precision in which an encoder's features are stored: float32 pooled, float16 grid."""
    return "float32" if config.output == "pooled" else "float16"


def build_encoder_in(config: EncoderConfig, precision: str) -> "Encoder | FileEncoder":
    """Builds an encoder that computes in a precision, ``float32`` or ``bfloat16``."""
    from capsmith.vision.encoder import build_encoder

    if config.type == "onnx":
        return build_encoder(config)
    from capsmith.core.precision import dtype_scope

    with dtype_scope(precision):
        return build_encoder(config)


def build_fastest(
    config: EncoderConfig, features_config: FeaturesConfig, images: int, stored: str | None = None
) -> tuple["Encoder | FileEncoder", str]:
    """Builds the encoder and returns its precision: that of an existing store, or otherwise the configured one.

    Which precision is faster depends on the network: depthwise convolutions gain nothing from bfloat16. ``auto``
    therefore times both, if the machine has bfloat16 and there are enough images to be worth it.

    Args:
        config: The encoder.
        features_config: ``precision`` and ``batch_size``.
        images: How many images will be encoded.
        stored: Precision of the features that are stored already, if any.

    Raises:
        FeatureError: Another precision is configured than the stored one, or the encoder computes in float32 only.
    """
    precision = fixed_precision(config, features_config, images, stored)
    encoders = {}

    def prepare(precision: str) -> Callable[[], Any]:
        encoder = encoders[precision] = build_encoder_in(config, precision)
        return lambda: encoder.encode(np.zeros((features_config.batch_size, *encoder.image_size, 3), np.uint8))

    with memory_advice("features.batch_size", features_config.batch_size):
        if precision is None:
            from capsmith.core.precision import faster

            precision = faster(prepare)
    if precision not in encoders:
        prepare(precision)
    return encoders[precision], precision


def fixed_precision(
    config: EncoderConfig, features_config: FeaturesConfig, images: int, stored: str | None = None
) -> str | None:
    """Returns the precision in which an encoder will compute; None if both are to be timed. See ``build_fastest``."""
    wanted = features_config.precision
    if stored is not None and wanted not in ("auto", stored):
        raise FeatureError(
            f"features.precision: the stored features were extracted in {stored}: set auto, or delete the store"
        )
    if config.type == "onnx":
        if wanted not in ("auto", "float32"):
            raise FeatureError(f"features.precision: an encoder of type onnx computes in float32, not {wanted}")
        return "float32"
    if stored is not None or wanted != "auto":
        return stored or wanted
    from capsmith.core.precision import has_bfloat16

    return None if images > _MIN_IMAGES_TO_TIME and has_bfloat16() else "float32"


def _encode(encoder: "Encoder | FileEncoder", images: list[np.ndarray], batch_size: int) -> np.ndarray:
    """Returns (len(images), *shape)."""
    if not images:
        return np.zeros((0, *encoder.feature_shape), np.float32)
    pixels = np.zeros((batch_size, *encoder.image_size, 3), np.uint8)
    for row, image in enumerate(images):
        pixels[row] = image
    with memory_advice("features.batch_size", batch_size):
        return encoder.encode(pixels)[: len(images)]
