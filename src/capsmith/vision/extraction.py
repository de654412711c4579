"""Extracts features: decodes images, encodes them, and fills a store. Can be interrupted and resumed at any time."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from capsmith.core.errors import FeatureError
from capsmith.core.log import get_logger
from capsmith.core.progress import progress_bar
from capsmith.core.readers.shard_members import file_size
from capsmith.vision.config import EncoderConfig, FeaturesConfig
from capsmith.vision.encoded_batches import SourceImage, build_fastest, encoded_batches, stored_dtype
from capsmith.vision.fingerprint import encoder_fingerprint, json_sha256
from capsmith.vision.journal import Journal, locked_store
from capsmith.vision.journal_lines import current_manifest
from capsmith.vision.manifest import Manifest
from capsmith.vision.store import FeatureStore

logger = get_logger(__name__)

_LOGGED = 10  # unreadable images named in the log


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
    requested = stat_images(images)
    paths = dict(images)
    expected = store_fingerprint(encoder_config, crop)
    folder = store_folder(images, encoder_config, features_config, crop)
    with locked_store(folder):
        manifest = current_manifest(folder, expected)
        sizes = manifest.file_sizes() if manifest else {}
        todo = [image for image in requested if sizes.get(image.id) != image.size]
        absent = {image.id: why_absent(paths[image.id]) for image in todo if image.size < 0}
        require_readable(requested, (manifest.reasons() if manifest else {}) | absent, features_config)
        if todo and manifest is not None and manifest.shards:
            raise FeatureError(
                f"the features in {folder} are shards, and {len(todo):,} of {len(requested):,} images are new or "
                "changed: run `capsmith extract --engine local` (or ray) first"
            )
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


def store_fingerprint(encoder_config: EncoderConfig, crop: int) -> dict[str, Any]:
    """Returns the fingerprint of the features of complete images, or of a cached crop."""
    return encoder_fingerprint(encoder_config) | ({"view": crop} if crop else {})


def stat_images(images: Sequence[tuple[str, Path]]) -> list[SourceImage]:
    """Returns the images with the sizes of their files, each once.

    Raises:
        FeatureError: There are none, or two have one id.
    """
    if not images:
        raise FeatureError("there are no images to extract features from")
    paths: dict[str, Path] = {}
    for image, path in images:
        if paths.setdefault(image, path) != path:
            raise FeatureError(f"two images have the id {image}: {paths[image]} and {path}")
    return [SourceImage(image, path, file_size(path)) for image, path in paths.items()]


def why_absent(path: Path) -> str:
    """Returns why a file cannot be found: it is missing, or its folder cannot be searched."""
    try:
        path.stat()
    except PermissionError as error:
        return f"{path}: {error.strerror}"
    except OSError:
        pass
    return f"{path}: no such file"


def _extract_missing(
    todo: list[SourceImage],
    requested: list[SourceImage],
    folder: Path,
    manifest: Manifest | None,
    encoder_config: EncoderConfig,
    features_config: FeaturesConfig,
    crop: int,
) -> None:
    stored = None if manifest is None else manifest.precision
    encoder, precision = build_fastest(encoder_config, features_config, len(todo), stored)
    if manifest is None:
        dtype, fingerprint = stored_dtype(encoder_config), store_fingerprint(encoder_config, crop)
        manifest = Manifest(fingerprint, encoder.feature_shape, dtype, precision=precision)
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
            for batch in encoded_batches(todo, encoder, batch_size, features_config.workers, crop):
                ids, sizes = [image.id for image in batch.images], [image.size for image in batch.images]
                journal.append(ids, sizes, batch.features, batch.unreadable)
                require_readable(requested, manifest.reasons(), features_config)
                progress.update(len(batch))
        journal.finish()
    finally:
        journal.close()
    seconds = time.monotonic() - began
    logger.info(f"features: done in {seconds:,.0f} s ({len(todo) / seconds:,.1f} images/s)")
    log_unreadable(todo, manifest)


def require_readable(requested: list[SourceImage], reasons: dict[str, str], config: FeaturesConfig) -> None:
    """Raises FeatureError as soon as too many images are unreadable, so that a wrong folder is reported early."""
    if len(reasons) <= config.max_bad_fraction * len(requested):
        return
    unreadable = [image.id for image in requested if image.id in reasons]
    if len(unreadable) > config.max_bad_fraction * len(requested):
        raise FeatureError(
            f"{len(unreadable):,} of {len(requested):,} images cannot be read, more than features.max_bad_fraction "
            f"allows ({config.max_bad_fraction:g}); the first: {reasons[unreadable[0]]}"
        )


def log_unreadable(todo: list[SourceImage], manifest: Manifest) -> None:
    """Logs the images that cannot be read."""
    by_id = manifest.reasons()
    reasons = [by_id[image.id] for image in todo if image.id in by_id]
    for reason in reasons[:_LOGGED]:
        logger.info(f"features: skipped {reason}")
    if len(reasons) > _LOGGED:
        logger.info(f"features: skipped {len(reasons) - _LOGGED} more, listed in the store's manifest.json")
