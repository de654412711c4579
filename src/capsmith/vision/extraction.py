"""From image files to a feature store: decode, encode, keep; stop and go on at any time."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from capsmith.core.errors import FeatureError, ImageError, memory_for
from capsmith.core.log import get_logger
from capsmith.core.progress import bar
from capsmith.vision.cached_crops import view_of
from capsmith.vision.config import EncoderConfig, FeaturesConfig
from capsmith.vision.fingerprint import digest, fingerprint
from capsmith.vision.journal import Journal, known, locked
from capsmith.vision.loading import load_images
from capsmith.vision.store import FeatureStore, Manifest

logger = get_logger(__name__)

if TYPE_CHECKING:
    from capsmith.vision.encoder import Encoder

_AHEAD = 3  # batches decoded before the encoder asks for them
_MANY = 1000  # images from which on it is worth to time both precisions
_SHOWN = 10  # unreadable images named in the log


@dataclass(frozen=True)
class _ImageFile:
    id: str
    path: Path
    size: int  # bytes; -1: no such file


def extract(
    images: Sequence[tuple[str, Path]],
    encoder_config: EncoderConfig,
    features_config: FeaturesConfig,
    view: int = 0,
) -> FeatureStore:
    """Returns the features of images, computing those that the store does not have yet.

    A run that was killed goes on where it stopped and ends in the same numbers. Images that are new, or whose file
    has another size than when it was read, are computed; the rest stays. When nothing is missing, no network is built.

    Args:
        images: (image id, path) pairs; repeats are welcome.
        encoder_config: The encoder.
        features_config: Where the store is kept, and how much may be unreadable.
        view: Which view of the images, see ``views.py``; 0 is the images as they are.

    Raises:
        FeatureError: Too many images are unreadable, the store is of another encoder, or the disk is full.
    """
    wanted = _stat(images)
    expected = _fingerprint(encoder_config, view)
    folder = store_folder(images, encoder_config, features_config, view)
    with locked(folder):
        manifest = known(folder, expected)
        sizes = manifest.file_sizes() if manifest else {}
        todo = [image for image in wanted if sizes.get(image.id) != image.size]
        missing = {image.id: _absence(image.path) for image in todo if image.size < 0}
        _check_broken(wanted, (manifest.reasons() if manifest else {}) | missing, features_config)
        if todo:
            _run(todo, wanted, folder, manifest, encoder_config, features_config, view)
        else:
            logger.info(f"features: all {len(wanted):,} images are in {folder}")
            if manifest is not None and (folder / "journal.jsonl").exists():
                Journal(folder, manifest).finish()  # killed after the last batch
    return FeatureStore.open(folder, expected)


def store_folder(
    images: Sequence[tuple[str, Path]], encoder_config: EncoderConfig, features_config: FeaturesConfig, view: int = 0
) -> Path:
    """Returns the folder of the store for these images and this encoder.

    ``features.store`` if given; else a name in ``features.cache`` made of the encoder, its fingerprint, and the folder
    that holds the images. A view's folder has its number behind that.
    """
    ending = f"-view{view}" if view else ""
    if features_config.store is not None:
        return features_config.store.with_name(features_config.store.name + ending)
    place = os.path.commonpath([os.path.abspath(path.parent) for _, path in images])
    made_by = digest(fingerprint(encoder_config))[:10]
    name = f"{encoder_config.type}-{encoder_config.output}-{made_by}-{digest(place)[:8]}{ending}"
    return features_config.cache / name


def _fingerprint(encoder_config: EncoderConfig, view: int) -> dict[str, Any]:
    return fingerprint(encoder_config) | ({"view": view} if view else {})


def _stat(images: Sequence[tuple[str, Path]]) -> list[_ImageFile]:
    if not images:
        raise FeatureError("there are no images to extract features from")
    paths: dict[str, Path] = {}
    for image, path in images:
        if paths.setdefault(image, path) != path:
            raise FeatureError(f"two images have the id {image}: {paths[image]} and {path}")
    return [_ImageFile(image, path, _file_size(path)) for image, path in paths.items()]


def _absence(path: Path) -> str:
    """Returns why there is no file: it may be in a folder that may not be searched."""
    try:
        path.stat()
    except PermissionError as error:
        return f"{path}: {error.strerror}"
    except OSError:
        pass
    return f"{path}: no such file"


def _file_size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _run(
    todo: list[_ImageFile],
    wanted: list[_ImageFile],
    folder: Path,
    manifest: Manifest | None,
    encoder_config: EncoderConfig,
    features_config: FeaturesConfig,
    view: int,
) -> None:
    encoder, precision = _encoder(encoder_config, features_config, len(todo), manifest)
    if manifest is None:
        dtype = "float32" if encoder_config.output == "pooled" else "float16"
        manifest = Manifest(_fingerprint(encoder_config, view), encoder.feature_shape, dtype, precision=precision)
    seen = f" (view {view})" if view else ""
    through = encoder_config.type + ("" if precision == "float32" else f" in {precision}")
    logger.info(f"features: {len(todo):,} of {len(wanted):,} images{seen} go through {through} into {folder}")
    began = time.monotonic()
    batch = min(features_config.batch_size, len(wanted))  # one shape for all batches, and the same after a restart
    journal = Journal(folder, manifest)
    try:
        with bar(total=len(wanted), initial=len(wanted) - len(todo), desc="features", unit="image") as shown:
            for good, broken in _batches(todo, encoder.image_size, features_config.workers, batch, view):
                with memory_for("features.batch_size", batch):
                    features = _encode(encoder, [pixels for _, pixels in good], batch)
                journal.append([p.id for p, _ in good], [p.size for p, _ in good], features, broken)
                _check_broken(wanted, manifest.reasons(), features_config)
                shown.update(len(good) + len(broken))
        journal.finish()
    finally:
        journal.close()
    seconds = time.monotonic() - began
    logger.info(f"features: done in {seconds:,.0f} s ({len(todo) / seconds:,.1f} images a second)")
    _report_broken(todo, manifest)


def _encoder(
    config: EncoderConfig, how: FeaturesConfig, images: int, manifest: Manifest | None
) -> tuple["Encoder", str]:
    """Builds the encoder, and says in which precision: that in which a store was begun, else the one asked for.

    Which one is faster is a question of the network: convolutions of single channels gain nothing. So both are timed,
    on machines that have bfloat16 and where there are images enough to be worth it.
    """
    from capsmith.core.precision import dtype_scope, faster, has_bfloat16
    from capsmith.vision.encoder import build_encoder

    asked = how.precision if manifest is None else manifest.precision
    if manifest is not None and how.precision not in ("auto", asked):
        raise FeatureError(
            f"features.precision: the features that are there were made in {asked}: leave it at auto, or delete them"
        )
    if asked == "auto" and not (images > _MANY and has_bfloat16()):
        asked = "float32"
    built = {}

    def make(precision: str) -> Callable[[], Any]:
        with dtype_scope(precision):
            encoder = built[precision] = build_encoder(config)
        return lambda: encoder.encode(np.zeros((how.batch_size, *encoder.image_size, 3), np.uint8))

    with memory_for("features.batch_size", how.batch_size):
        chosen = faster(make) if asked == "auto" else asked
    if chosen not in built:
        make(chosen)
    return built[chosen], chosen


def _encode(encoder: "Encoder", images: list[np.ndarray], batch: int) -> np.ndarray:
    """Returns (len(images), *shape); the input is filled up to ``batch`` so that nothing is compiled twice."""
    pixels = np.zeros((batch, *encoder.image_size, 3), np.uint8)
    for row, image in enumerate(images):
        pixels[row] = image
    return encoder.encode(pixels)[: len(images)]


def _batches(
    images: list[_ImageFile], size: tuple[int, int], workers: int, batch: int, view: int
) -> Iterator[tuple[list[tuple[_ImageFile, np.ndarray]], dict[str, dict[str, Any]]]]:
    """Yields ``batch`` decoded images at a time (fewer at the end), with those found unreadable on the way."""
    good: list[tuple[_ImageFile, np.ndarray]] = []
    broken: dict[str, dict[str, Any]] = {}
    keyed = ((image, image.path) for image in images)
    for image, result in load_images(keyed, size, workers, _AHEAD * batch, lambda image: view_of(image.id, view)):
        if isinstance(result, ImageError):
            broken[image.id] = {"reason": str(result), "size": image.size}
        else:
            good.append((image, result))
        if len(good) == batch:
            yield good, broken
            good, broken = [], {}
    if good or broken:
        yield good, broken


def _check_broken(wanted: list[_ImageFile], reasons: dict[str, str], config: FeaturesConfig) -> None:
    """Stops as soon as too much is unreadable: a wrong folder shows at once, not after hours."""
    if len(reasons) <= config.max_broken * len(wanted):
        return
    found = [image.id for image in wanted if image.id in reasons]
    if len(found) > config.max_broken * len(wanted):
        raise FeatureError(
            f"{len(found):,} of {len(wanted):,} images cannot be read, more than features.max_broken allows "
            f"({config.max_broken:g}); the first: {reasons[found[0]]}"
        )


def _report_broken(todo: list[_ImageFile], manifest: Manifest) -> None:
    found = manifest.reasons()
    reasons = [found[image.id] for image in todo if image.id in found]
    for reason in reasons[:_SHOWN]:
        logger.info(f"features: left out {reason}")
    if len(reasons) > _SHOWN:
        logger.info(f"features: left out {len(reasons) - _SHOWN} more, listed in the store's manifest.json")
