"""From a config to what training and evaluation work on: records, references, and features or pixels by image."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from capsmith.config import Config, require_config
from capsmith.core.errors import CheckpointError, DataError, ImageError
from capsmith.core.files import read_json
from capsmith.core.log import get_logger
from capsmith.data.records import SPLITS, Corpus, Record, read_dataset
from capsmith.models.given_features import GivenFeatures
from capsmith.vision.extraction import extract as extract_features
from capsmith.vision.fingerprint import OF_A_RUN, differences, file_hash, fingerprint
from capsmith.vision.images import load_image
from capsmith.vision.joined import JoinedStore, folders
from capsmith.vision.pickle_store import PickleStore
from capsmith.vision.store import FeatureStore

logger = get_logger(__name__)

if TYPE_CHECKING:
    from capsmith.vision.encoder import Encoder
    from capsmith.vision.joined import JoinedEncoder

Features = FeatureStore | JoinedStore | PickleStore
_NAMED = 5  # broken images named in the log


@dataclass(frozen=True)
class Prepared:
    """Images that can be used, and where their features or pixels come from.

    Attributes:
        records: Those with a readable image, in the order of the dataset.
        source: Features, or pixels where the encoder is trained.
        feature_shape: What the decoder gets of an image: (D,) or (L, D).
        encoder: The built encoder where it is trained; else None.
    """

    records: tuple[Record, ...]
    source: "Features | PixelCache"
    feature_shape: tuple[int, ...]
    encoder: "Encoder | None"

    def split(self, name: str) -> list[Record]:
        """Returns the records of one split."""
        return [record for record in self.records if record.split == name]


class PixelCache:
    """Pixels by image, decoded once and kept in memory as bytes.

    Args:
        records: The images.
        size: (height, width) that they are resized to.
        workers: Threads that decode.
    """

    def __init__(self, records: Sequence[Record], size: tuple[int, int], workers: int):
        self._pixels = np.zeros((len(records), *size, 3), np.uint8)

        def read(index: int) -> str | None:
            try:
                self._pixels[index] = load_image(records[index].path, size)
            except ImageError as error:
                return str(error)
            return None

        with ThreadPoolExecutor(workers) as pool:
            wrong = list(pool.map(read, range(len(records))))
        self.broken = {r.image_id: why for r, why in zip(records, wrong, strict=True) if why is not None}
        for message in list(self.broken.values())[:_NAMED]:
            logger.info(f"left out: {message}")
        self._row = {r.image_id: index for index, r in enumerate(records) if r.image_id not in self.broken}

    def __contains__(self, image_id: object) -> bool:
        return image_id in self._row

    def rows(self, ids: Sequence[str]) -> np.ndarray:
        """Returns the row of each image."""
        return np.array([self._row[image_id] for image_id in ids], np.int64)

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Returns pixels (P, H, W, 3), uint8."""
        return self._pixels[rows]


def read_corpus(config: Config) -> Corpus:
    """Reads the dataset and says what it holds and what was left out."""
    data = config.data
    if config.features.pickle is not None:
        data = data.model_copy(update={"require_images": False})
    corpus = read_dataset(data)
    sizes = ", ".join(f"{len(corpus.split(name)):,} {name}" for name in SPLITS)
    logger.info(f"data: {config.data.type} at {config.data.root}: images {sizes}")
    if summary := corpus.problems.summary():
        logger.info(f"data: left out {summary}")
    if summary := corpus.repaired.summary():
        logger.info(f"data: read all the same {summary}")
    return corpus


def extract(config: Config, corpus: Corpus | None = None) -> Features:
    """Creates or completes the feature store of a config's dataset, or the stores of several encoders.

    Args:
        config: The config. Encoders that it pretrains on words must exist.
        corpus: The dataset, if it was read already.

    Raises:
        DataError: The config trains its encoder, so that no features can be stored.
    """
    require_config(config, "extract")
    if config.trains_encoder:
        raise DataError("encoder.trainable is true: its features change while it learns, so none are stored")
    corpus = corpus or read_corpus(config)
    if config.features.pickle is not None:
        return given_features(config, corpus, SPLITS)
    return _store(config, corpus.records)


def given_features(config: Config, corpus: Corpus, splits: Sequence[str], report: bool = True) -> PickleStore:
    """Opens the pickle of features that a config names.

    Args:
        config: Its ``features.store`` is a pickle.
        corpus: The images.
        splits: Those whose images need features; other images may have none.
        report: Log how many images have features.

    Raises:
        FeatureError: It cannot be used, or more images lack features than ``features.max_broken`` allows.
    """
    path = config.features.pickle
    assert path is not None  # noqa: S101 - the caller looked
    ids = [record.image_id for record in corpus.records if record.split in SPLITS]
    store = PickleStore.open(path, ids)
    store.require({name: [r.image_id for r in corpus.split(name)] for name in splits}, config.features.max_broken)
    if report:
        logger.info(f"features: {len(store):,} of {len(ids):,} images are in {path}, each {store.layout}")
    return store


def _store(config: Config, records: Sequence[Record], view: int = 0) -> Features:
    images = [(record.image_id, record.path) for record in records]
    stores = [extract_features(images, encoder, config.features, view) for encoder in config.encoders]
    return stores[0] if len(stores) == 1 else JoinedStore(stores)


def prepare(
    config: Config,
    splits: Sequence[str],
    corpus: Corpus | None = None,
    encoder: "Encoder | JoinedEncoder | None" = None,
) -> Prepared:
    """Reads the dataset and makes its features ready.

    Args:
        config: The config.
        splits: The splits that will be used; each must hold an image.
        corpus: The dataset, when it was read already.
        encoder: The encoder, when it is trained and was built already.
    """
    corpus = corpus or read_corpus(config)
    require_splits(config, corpus, splits)
    records = [record for record in corpus.records if record.split in SPLITS]
    if config.features.pickle is not None:
        given = given_features(config, corpus, splits)
        return Prepared(_readable(records, given), given, given.shape, None)
    if not config.trains_encoder:
        store = _store(config, records)
        return Prepared(_readable(records, store), store, store.shape, None)
    if encoder is None:
        from capsmith.vision.encoder import build_encoders

        encoder = build_encoders(config.encoders)
    (encoder,) = encoder.parts
    used = [record for record in records if record.split in splits]
    images = PixelCache(used, encoder.image_size, config.features.workers)
    share = len(images.broken) / len(used)
    if share > config.features.max_broken:
        raise DataError(
            f"{len(images.broken)} of {len(used)} images cannot be read (features.max_broken allows "
            f"{config.features.max_broken:.0%}); the first: {next(iter(images.broken.values()))}"
        )
    return Prepared(_readable(used, images), images, encoder.feature_shape, encoder)


def training_views(config: Config, prepared: Prepared) -> list[Features]:
    """Makes the features of the random views that a training shows of its images, one store a view."""
    records = prepared.split("train")
    return [_store(config, records, number) for number in range(1, config.training.cached_crops + 1)]


def require_splits(config: Config, corpus: Corpus, splits: Sequence[str]) -> None:
    """Raises DataError when a split holds no image."""
    for name in splits:
        if not corpus.split(name):
            hint = ", or evaluation.after_training" if name == config.evaluation.after_training else ""
            raise DataError(
                f"the {name} split of {config.data.root} holds no image (see the data section's split{hint})"
            )


def require_encoder(config: Config, run: Path) -> None:
    """Checks that a config's encoder is still the one whose features a run was trained with.

    Features from a pickle are taken as they are, since nothing tells what made them; the log says so,
    unless the run was trained on this very pickle.

    Raises:
        CheckpointError: It differs, as when another file lies where its weights were; or the run is damaged, or was
            trained on a pickle's features and has no encoder.
        FeatureError: Its weights are not there.
    """
    given, path = trained_on(run), config.features.pickle
    if path is not None and (given is None or given.sha256 != file_hash(path)):
        made = f"those in {given.store}" if given else f"features of {config.encoders[0].type}"
        logger.info(f"features: {run} was trained on {made}; whether those in {path} are alike cannot be verified")
    if config.trains_encoder or path is not None:
        return  # part of the checkpoint, or not needed
    if given is not None and given.encoder == "none":
        raise CheckpointError(f"{run} {given.note}; or set features.store to a pickle with features of these images")
    for encoder, folder in zip(config.encoders, folders(run, len(config.encoders)), strict=True):
        note = read_json(folder / "encoder.json", CheckpointError)
        trained = note.get("fingerprint") if isinstance(note, dict) else None
        if not isinstance(trained, dict):
            raise CheckpointError(f"{folder}/encoder.json is damaged")
        if differs := differences(fingerprint(encoder), trained, OF_A_RUN):
            raise CheckpointError(f"{run} was trained with features of another encoder ({differs})")


def require_same_features(config: Config, run: Path) -> None:
    """Checks that a training that goes on has the features that it began with.

    Raises:
        CheckpointError: They are from another pickle, or one time from a pickle and one time not; or as
            `require_encoder`.
        FeatureError: As `require_encoder`; or the pickle cannot be read.
    """
    before, now = trained_on(run), config.features.pickle
    if (before is None) != (now is None) or (before and now and before.sha256 != file_hash(now)):
        begun = f"the features in {before.store}" if before else "features of its own encoder"
        differs = f"those in {now} are others" if now else "features.store names no pickle now"
        raise CheckpointError(f"{run} was begun with {begun}, and {differs}: choose another --run")
    require_encoder(config, run)


def trained_on(run: Path) -> GivenFeatures | None:
    """Returns which pickle's features a run was trained on; None where it made its own.

    Raises:
        CheckpointError: The run is damaged.
    """
    if not (run / "captioner.json").exists():
        return None
    about = read_json(run / "captioner.json", CheckpointError)
    return GivenFeatures.read(about.get("features") if isinstance(about, dict) else None, f"{run}/captioner.json")


def _readable(records: Sequence[Record], source: Features | PixelCache) -> tuple[Record, ...]:
    return tuple(record for record in records if record.image_id in source)
