"""Extracts features: decodes images, encodes them, and fills a store. Can be interrupted and resumed at any time."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from capsmith.core.errors import FeatureError, ImageError, memory_advice
from capsmith.core.log import get_logger
from capsmith.core.progress import progress_bar
from capsmith.core.readers.shard_members import file_size
from capsmith.vision.cached_crops import crop_of
from capsmith.vision.config import EncoderConfig, FeaturesConfig
from capsmith.vision.fingerprint import encoder_fingerprint, json_sha256
from capsmith.vision.journal import Journal, locked_store
from capsmith.vision.journal_lines import current_manifest
from capsmith.vision.loading import load_images
from capsmith.vision.manifest import Manifest
from capsmith.vision.store import FeatureStore

logger = get_logger(__name__)

if TYPE_CHECKING:
    from capsmith.vision.encoder import Encoder
    from capsmith.vision.file_encoder import FileEncoder

_PREFETCHED_BATCHES = 3
_MIN_IMAGES_TO_TIME = 1000  # with fewer images, timing both precisions costs more than it gains
_LOGGED = 10  # unreadable images named in the log


@dataclass(frozen=True)
class _ImageFile:
    id: str
    path: Path
    size: int  # bytes; -1: no such file


@dataclass(frozen=True)
class _Batch:
    images: list[_ImageFile]
    pixels: list[np.ndarray]
    unreadable: dict[str, dict[str, Any]]  # found since the previous batch

    def __len__(self) -> int:
        return len(self.images) + len(self.unreadable)


def extract(
    images: Sequence[tuple[str, Path]],
    encoder_config: EncoderConfig,
    features_config: FeaturesConfig,
    crop: int = 0,
) -> FeatureStore:
    """Returns the features of images, computing those that the store does not have yet.

    An interrupted extraction resumes where it stopped and gives the same numbers. New images are computed, as are
    images whose file size changed since they were read. When nothing is missing, no network is built.

    Args:
        images: (image id, path) pairs; duplicates are allowed.
        encoder_config: The encoder.
        features_config: Location of the store, and the fraction of images that may be unreadable.
        crop: Number of the cached crop, see ``cached_crops.py``; 0 for the complete images.

    Raises:
        FeatureError: Too many images are unreadable, the store belongs to another encoder, or the disk is full.
    """
    requested = _stat(images)
    expected = _fingerprint(encoder_config, crop)
    folder = store_folder(images, encoder_config, features_config, crop)
    with locked_store(folder):
        manifest = current_manifest(folder, expected)
        sizes = manifest.file_sizes() if manifest else {}
        todo = [image for image in requested if sizes.get(image.id) != image.size]
        absent = {image.id: _why_absent(image.path) for image in todo if image.size < 0}
        _require_readable(requested, (manifest.reasons() if manifest else {}) | absent, features_config)
        if todo:
            _extract_missing(todo, requested, folder, manifest, encoder_config, features_config, crop)
        else:
            logger.info(f"features: all {len(requested):,} images are in {folder}")
            if manifest is not None and (folder / "journal.jsonl").exists():
                Journal(folder, manifest).finish()  # interrupted after the last batch
    return FeatureStore.open(folder, expected)


def store_folder(
    images: Sequence[tuple[str, Path]], encoder_config: EncoderConfig, features_config: FeaturesConfig, crop: int = 0
) -> Path:
    """Returns the folder of the store for these images and this encoder.

    This is ``features.store`` if set. Otherwise it is a folder in ``features.cache`` whose name consists of
    the encoder, its fingerprint and a hash of the image folder. The number of a cached crop is appended.
    """
    suffix = f"-view{crop}" if crop else ""
    if features_config.store is not None:
        return features_config.store.with_name(features_config.store.name + suffix)
    image_folder = os.path.commonpath([os.path.abspath(path.parent) for _, path in images])
    fingerprint = json_sha256(encoder_fingerprint(encoder_config))[:10]
    name = f"{encoder_config.type}-{encoder_config.output}-{fingerprint}-{json_sha256(image_folder)[:8]}{suffix}"
    return features_config.cache / name


def _fingerprint(encoder_config: EncoderConfig, crop: int) -> dict[str, Any]:
    return encoder_fingerprint(encoder_config) | ({"view": crop} if crop else {})


def _stat(images: Sequence[tuple[str, Path]]) -> list[_ImageFile]:
    if not images:
        raise FeatureError("there are no images to extract features from")
    paths: dict[str, Path] = {}
    for image, path in images:
        if paths.setdefault(image, path) != path:
            raise FeatureError(f"two images have the id {image}: {paths[image]} and {path}")
    return [_ImageFile(image, path, file_size(path)) for image, path in paths.items()]


def _why_absent(path: Path) -> str:
    """Returns why a file cannot be found: it is missing, or its folder cannot be searched."""
    try:
        path.stat()
    except PermissionError as error:
        return f"{path}: {error.strerror}"
    except OSError:
        pass
    return f"{path}: no such file"


def _extract_missing(
    todo: list[_ImageFile],
    requested: list[_ImageFile],
    folder: Path,
    manifest: Manifest | None,
    encoder_config: EncoderConfig,
    features_config: FeaturesConfig,
    crop: int,
) -> None:
    encoder, precision = _build_encoder(encoder_config, features_config, len(todo), manifest)
    if manifest is None:
        dtype = "float32" if encoder_config.output == "pooled" else "float16"
        manifest = Manifest(_fingerprint(encoder_config, crop), encoder.feature_shape, dtype, precision=precision)
    what = f"images (cached crop {crop})" if crop else "images"
    name = encoder_config.title + ("" if precision == "float32" else f" in {precision}")
    logger.info(f"features: extracting {len(todo):,} of {len(requested):,} {what} with {name} into {folder}")
    began = time.monotonic()
    batch_size = min(features_config.batch_size, len(requested))  # the same shape for all batches, and after a restart
    journal = Journal(folder, manifest)
    try:
        with progress_bar(
            total=len(requested), initial=len(requested) - len(todo), desc="features", unit="image"
        ) as progress:
            for batch in _batches(todo, encoder.image_size, features_config.workers, batch_size, crop):
                with memory_advice("features.batch_size", batch_size):
                    features = _encode(encoder, batch.pixels, batch_size)
                ids, sizes = [image.id for image in batch.images], [image.size for image in batch.images]
                journal.append(ids, sizes, features, batch.unreadable)
                _require_readable(requested, manifest.reasons(), features_config)
                progress.update(len(batch))
        journal.finish()
    finally:
        journal.close()
    seconds = time.monotonic() - began
    logger.info(f"features: done in {seconds:,.0f} s ({len(todo) / seconds:,.1f} images/s)")
    _log_unreadable(todo, manifest)


def _build_encoder(
    config: EncoderConfig, features_config: FeaturesConfig, images: int, manifest: Manifest | None
) -> tuple["Encoder | FileEncoder", str]:
    """Builds the encoder and returns its precision: that of an existing store, or otherwise the configured one.

    Which precision is faster depends on the network: depthwise convolutions gain nothing from bfloat16. ``auto``
    therefore times both, if the machine has bfloat16 and there are enough images to be worth it.
    """
    from capsmith.core.precision import dtype_scope, faster, has_bfloat16
    from capsmith.vision.encoder import build_encoder

    precision = features_config.precision if manifest is None else manifest.precision
    if manifest is not None and features_config.precision not in ("auto", precision):
        raise FeatureError(
            f"features.precision: the stored features were extracted in {precision}: set auto, or delete the store"
        )
    if config.type == "onnx":
        if precision not in ("auto", "float32"):
            raise FeatureError(f"features.precision: an encoder of type onnx computes in float32, not {precision}")
        return build_encoder(config), "float32"
    if precision == "auto" and not (images > _MIN_IMAGES_TO_TIME and has_bfloat16()):
        precision = "float32"
    encoders = {}

    def prepare(precision: str) -> Callable[[], Any]:
        with dtype_scope(precision):
            encoder = encoders[precision] = build_encoder(config)
        return lambda: encoder.encode(np.zeros((features_config.batch_size, *encoder.image_size, 3), np.uint8))

    with memory_advice("features.batch_size", features_config.batch_size):
        chosen = faster(prepare) if precision == "auto" else precision
    if chosen not in encoders:
        prepare(chosen)
    return encoders[chosen], chosen


def _encode(encoder: "Encoder | FileEncoder", images: list[np.ndarray], batch_size: int) -> np.ndarray:
    """Returns (len(images), *shape). The input is padded to ``batch_size``, so the network is compiled only once."""
    pixels = np.zeros((batch_size, *encoder.image_size, 3), np.uint8)
    for row, image in enumerate(images):
        pixels[row] = image
    return encoder.encode(pixels)[: len(images)]


def _batches(
    images: list[_ImageFile], size: tuple[int, int], workers: int, batch_size: int, crop: int
) -> Iterator[_Batch]:
    """Yields batches of ``batch_size`` decoded images; the last one may be smaller."""
    batch = _Batch([], [], {})
    paths = ((image, image.path) for image in images)
    prefetch = _PREFETCHED_BATCHES * batch_size
    for image, result in load_images(paths, size, workers, prefetch, lambda image: crop_of(image.id, crop)):
        if isinstance(result, ImageError):
            batch.unreadable[image.id] = {"reason": str(result), "size": image.size}
        else:
            batch.images.append(image)
            batch.pixels.append(result)
        if len(batch.images) == batch_size:
            yield batch
            batch = _Batch([], [], {})
    if len(batch):
        yield batch


def _require_readable(requested: list[_ImageFile], reasons: dict[str, str], config: FeaturesConfig) -> None:
    """Raises FeatureError as soon as too many images are unreadable, so that a wrong folder is reported early."""
    if len(reasons) <= config.max_bad_fraction * len(requested):
        return
    unreadable = [image.id for image in requested if image.id in reasons]
    if len(unreadable) > config.max_bad_fraction * len(requested):
        raise FeatureError(
            f"{len(unreadable):,} of {len(requested):,} images cannot be read, more than features.max_bad_fraction "
            f"allows ({config.max_bad_fraction:g}); the first: {reasons[unreadable[0]]}"
        )


def _log_unreadable(todo: list[_ImageFile], manifest: Manifest) -> None:
    by_id = manifest.reasons()
    reasons = [by_id[image.id] for image in todo if image.id in by_id]
    for reason in reasons[:_LOGGED]:
        logger.info(f"features: skipped {reason}")
    if len(reasons) > _LOGGED:
        logger.info(f"features: skipped {len(reasons) - _LOGGED} more, listed in the store's manifest.json")
