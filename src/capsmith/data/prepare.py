"""Prepares a dataset for training: the records, and the features or pixels of each image."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from capsmith.core.errors import DataError, ImageError
from capsmith.core.log import get_logger
from capsmith.data.records import SPLITS, Corpus, DatasetConfig, Record, chosen_records, read_dataset
from capsmith.vision.config import EncoderConfig, FeaturesConfig
from capsmith.vision.extraction import extract as extract_features
from capsmith.vision.joined_store import JoinedStore
from capsmith.vision.loading import load_images
from capsmith.vision.pickle_store import PickleStore
from capsmith.vision.store import FeatureStore

if TYPE_CHECKING:
    from capsmith.vision.encoder import AnyEncoder, Encoder
    from capsmith.vision.file_encoder import FileEncoder

logger = get_logger(__name__)

AnyStore = FeatureStore | JoinedStore | PickleStore
Compute = Callable[[Sequence[tuple[str, Path]], EncoderConfig, FeaturesConfig, int], FeatureStore]
"""Creates or completes a store, given ids and paths, the encoder, its settings and the number of the crop."""
_NAMED = 5  # unreadable images named in the log


@dataclass(frozen=True)
class Prepared:
    """The usable images of a dataset, and the source of their features or pixels.

    Attributes:
        records: Images that can be read, in dataset order.
        source: Features, or pixels if the encoder is trained.
        feature_shape: Shape of the features of one image: (D,) or (L, D).
        encoder: The encoder if it is trained, else None.
    """

    records: Sequence[Record]
    source: "AnyStore | PixelCache"
    feature_shape: tuple[int, ...]
    encoder: "Encoder | FileEncoder | None"

    def split(self, name: str) -> Sequence[Record]:
        """Returns the records of one split."""
        return Corpus(self.records).split(name)


class PixelCache:
    """Images that are decoded once and kept in memory as uint8.

    Args:
        records: The images.
        size: Height and width in pixels to which they are resized.
        workers: Number of decoding threads.

    Attributes:
        unreadable: The reason why an image cannot be read, by image id.
    """

    def __init__(self, records: Sequence[Record], size: tuple[int, int], workers: int) -> None:
        self._pixels = np.zeros((len(records), *size, 3), np.uint8)
        self._row: dict[str, int] = {}
        self.unreadable: dict[str, str] = {}
        paths = ((row, record.path) for row, record in enumerate(records))
        for row, pixels in load_images(paths, size, workers):
            image_id = records[row].image_id
            if isinstance(pixels, ImageError):
                self.unreadable[image_id] = str(pixels)
            else:
                self._pixels[row] = pixels
                self._row[image_id] = row
        for message in list(self.unreadable.values())[:_NAMED]:
            logger.info(f"skipped: {message}")

    def __contains__(self, image_id: object) -> bool:
        return image_id in self._row

    def rows(self, ids: Sequence[str]) -> np.ndarray:
        """Returns the row of each image."""
        return np.array([self._row[image_id] for image_id in ids], np.int64)

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Returns pixels (P, H, W, 3), uint8."""
        return self._pixels[rows]


def read_corpus(data: DatasetConfig, features: FeaturesConfig) -> Corpus:
    """Reads a dataset, and logs its sizes and what was skipped or repaired.

    Args:
        data: The dataset. If its features come from a pickle, its image files may be missing.
        features: Names the pickle, if any.
    """
    if features.pickle is not None:
        data = data.model_copy(update={"require_images": False})
    corpus = read_dataset(data)
    sizes = ", ".join(f"{len(corpus.split(name)):,} {name}" for name in SPLITS)
    logger.info(f"data: {data.type} at {data.root}: images {sizes}")
    if summary := corpus.problems.summary():
        logger.info(f"data: skipped {summary}")
    if summary := corpus.repaired.summary():
        logger.info(f"data: repaired {summary}")
    return corpus


def require_splits(corpus: Corpus, splits: Iterable[str], after_training: str | None = None) -> None:
    """Checks that splits contain images.

    Args:
        corpus: The dataset.
        splits: The splits that will be used.
        after_training: The split that ``evaluation.after_training`` names, for the message.

    Raises:
        DataError: A split is empty.
    """
    for name in splits:
        if not corpus.split(name):
            hint = ", or evaluation.after_training" if name == after_training else ""
            raise DataError(f"the {name} split has no images: check data.root and the split settings of data{hint}")


def open_pickle(features: FeaturesConfig, corpus: Corpus, splits: Iterable[str], report: bool = True) -> PickleStore:
    """Opens the pickle of features that ``features.store`` names.

    Args:
        features: Its ``store`` is a pickle.
        corpus: The images.
        splits: Splits whose images need features; other images may have none.
        report: Log how many images have features.

    Raises:
        FeatureError: The pickle cannot be used, or more images lack features than ``features.max_bad_fraction`` allows.
    """
    assert features.pickle is not None  # noqa: S101 - checked by the caller
    ids = [record.image_id for record in corpus.records if record.split in SPLITS]
    store = PickleStore.open(features.pickle, ids)
    store.require({name: [r.image_id for r in corpus.split(name)] for name in splits}, features.max_bad_fraction)
    if report:
        logger.info(f"features: {len(store):,} of {len(ids):,} images are in {features.pickle}, each {store.layout}")
    return store


def extract_store(
    records: Sequence[Record],
    encoders: Sequence[EncoderConfig],
    features: FeaturesConfig,
    view: int = 0,
    compute: Compute | None = None,
) -> FeatureStore | JoinedStore:
    """Creates or completes the feature store of some images; several encoders give one joined store.

    Args:
        records: The images.
        encoders: The frozen encoders.
        features: The folder of the stores, and the share of images that may be unreadable.
        view: Number of the random crop, see ``vision.cached_crops``; 0 is the complete image.
        compute: Creates or completes the store of one encoder; by default ``vision.extraction.extract``.
    """
    images = [(record.image_id, record.path) for record in records]
    stores = [(compute or extract_features)(images, encoder, features, view) for encoder in encoders]
    return stores[0] if len(stores) == 1 else JoinedStore(stores)


def prepare(
    corpus: Corpus,
    encoders: Sequence[EncoderConfig],
    features: FeaturesConfig,
    splits: Sequence[str],
    encoder: "AnyEncoder | None" = None,
) -> Prepared:
    """Loads or extracts the features of a dataset; decodes its images if the encoder is trained.

    Args:
        corpus: The dataset.
        encoders: Settings of the encoders.
        features: Settings of the feature store.
        splits: The splits that will be used; each must contain an image.
        encoder: The encoder, if it is trained and already built.

    Raises:
        DataError: A split is empty, or too many images cannot be read.
        FeatureError: The features cannot be used.
    """
    require_splits(corpus, splits)
    records = chosen_records(corpus.records, lambda record: record.split in SPLITS)
    if features.pickle is not None or not encoders[0].trainable:
        store: AnyStore
        if features.pickle is not None:
            store = open_pickle(features, corpus, splits)
        else:
            store = extract_store(records, encoders, features)
        return Prepared(_readable(records, store), store, store.shape, None)
    if encoder is None:
        from capsmith.vision.encoder import build_network_encoder

        encoder = build_network_encoder(encoders[0])
    (trained,) = encoder.parts
    used = chosen_records(records, lambda record: record.split in splits)
    images = PixelCache(used, trained.image_size, features.workers)
    if len(images.unreadable) / len(used) > features.max_bad_fraction:
        raise DataError(
            f"{len(images.unreadable)} of {len(used)} images cannot be read (features.max_bad_fraction allows "
            f"{features.max_bad_fraction:.0%}); the first: {next(iter(images.unreadable.values()))}"
        )
    return Prepared(_readable(used, images), images, trained.feature_shape, trained)


def _readable(records: Sequence[Record], source: "AnyStore | PixelCache") -> Sequence[Record]:
    return chosen_records(records, lambda record: record.image_id in source)
