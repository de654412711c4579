"""The images on which an export is compared with its checkpoint."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from capsmith.config import Config
from capsmith.core.errors import CapsmithError, ConfigError, ImageError
from capsmith.data.image_listing import list_images
from capsmith.data.prepare import read_corpus
from capsmith.data.records import Corpus
from capsmith.vision.images import ImageSource, load_image

MOST = 32
"""Images that are captioned for the comparison, at most."""
_SIDE = 224  # pixels of a drawn scene


@dataclass(frozen=True)
class SampleImages:
    """Images of one source.

    Attributes:
        images: The images.
        source: What they are, for messages and the model card.
        training: Number of training images of the run's dataset; None if it is not present.
    """

    images: tuple[ImageSource, ...]
    source: str
    training: int | None = None


def sample_images(config: Config, folder: Path | None) -> SampleImages:
    """Chooses images: those of a folder, else dev and training images of the run's dataset, else drawn scenes.

    Test images are never used.

    Args:
        config: The run's config.
        folder: A folder of images, or None.

    Raises:
        ConfigError: The folder has no image that can be read.
        DataError: The folder does not exist.
    """
    corpus = _corpus(config)
    training = len(corpus.split("train")) if corpus is not None else None
    if folder is not None:
        return _of_folder(folder, training)
    dataset = None if corpus is None else _of_corpus(corpus, config.data.type, training)
    return dataset or _drawn()


def _of_folder(folder: Path, training: int | None) -> SampleImages:
    listing = list_images(folder)
    if not listing.images:
        raise listing.none_found()
    paths = _readable([folder / name for name in listing.images])
    if not paths:
        raise ConfigError(f"--images {folder}: none of its {len(listing.images):,} images can be read")
    return SampleImages(tuple(paths), f"images of the folder {folder.resolve().name}", training)


def _corpus(config: Config) -> Corpus | None:
    if not config.data.root.is_dir() or any(config.data.missing()):
        return None
    try:
        return read_corpus(config.data, config.features)
    except CapsmithError:
        return None


def _of_corpus(corpus: Corpus, name: str, training: int | None) -> SampleImages | None:
    kind = "dev" if corpus.split("dev") else "train"
    images = _readable([record.path for record in corpus.split(kind)])
    kind = "dev" if kind == "dev" else "training"
    return SampleImages(tuple(images), f"{kind} images of the dataset ({name})", training) if images else None


def _readable(paths: Sequence[Path]) -> list[Path]:
    """Returns evenly spaced paths of images that can be read."""
    if not paths:
        return []
    places = np.unique(np.linspace(0, len(paths) - 1, min(MOST, len(paths))).astype(int))
    return [path for path in (paths[place] for place in places) if _can_read(path)]


def _can_read(path: Path) -> bool:
    try:
        load_image(path, (8, 8))
    except ImageError:
        return False
    return True


def _drawn() -> SampleImages:
    from capsmith.data.scenes.drawing import draw_scene
    from capsmith.data.scenes.plan import plan

    scenes = []
    for number in range(MOST):
        rng = random.Random(f"export {number}")  # noqa: S311 - not for cryptography
        scenes.append(np.asarray(draw_scene(plan(rng, "dev"), rng, _SIDE)))
    return SampleImages(tuple(scenes), "drawn scenes (the images of the run's dataset are not here)")
