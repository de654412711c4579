"""From a config to what training and evaluation work on: records, references, and features or pixels by picture."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from capsmith.config import Config, require_config
from capsmith.data.records import SPLITS, Corpus, Record, read_dataset
from capsmith.errors import CheckpointError, DataError, PictureError
from capsmith.features.extraction import extract as extract_features
from capsmith.features.fingerprint import differences, fingerprint
from capsmith.features.images import load_image
from capsmith.features.joined import JoinedStore, folders
from capsmith.features.store import FeatureStore
from capsmith.runs import Log, read_json

if TYPE_CHECKING:
    from capsmith.features.backbone import Encoder
    from capsmith.features.joined import JoinedEncoder

Features = FeatureStore | JoinedStore
_NAMED = 5  # broken pictures named in the log


@dataclass(frozen=True)
class Prepared:
    """Pictures that can be used, and where their features or pixels come from.

    Attributes:
        records: Those with a readable picture, in the order of the dataset.
        source: Features, or pixels where the encoder is trained.
        feature_shape: What the decoder gets of a picture: (D,) or (L, D).
        encoder: The built encoder where it is trained; else None.
    """

    records: tuple[Record, ...]
    source: "Features | Pictures"
    feature_shape: tuple[int, ...]
    encoder: "Encoder | None"

    def split(self, name: str) -> list[Record]:
        """Returns the records of one split."""
        return [record for record in self.records if record.split == name]


class Pictures:
    """Pixels by picture, decoded once and kept in memory as bytes.

    Args:
        records: The pictures.
        size: (height, width) that they are resized to.
        workers: Threads that decode.
        log: Takes a line for each unreadable picture.
    """

    def __init__(self, records: Sequence[Record], size: tuple[int, int], workers: int, log: Callable[[str], None]):
        self._pixels = np.zeros((len(records), *size, 3), np.uint8)

        def read(index: int) -> str | None:
            try:
                self._pixels[index] = load_image(records[index].path, size)
            except PictureError as error:
                return str(error)
            return None

        with ThreadPoolExecutor(workers) as pool:
            wrong = list(pool.map(read, range(len(records))))
        self.broken = {r.image_id: why for r, why in zip(records, wrong, strict=True) if why is not None}
        for message in list(self.broken.values())[:_NAMED]:
            log(f"left out: {message}")
        self._row = {r.image_id: index for index, r in enumerate(records) if r.image_id not in self.broken}

    def __contains__(self, image_id: object) -> bool:
        return image_id in self._row

    def rows(self, ids: Sequence[str]) -> np.ndarray:
        """Returns the row of each picture."""
        return np.array([self._row[image_id] for image_id in ids], np.int64)

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Returns pixels (P, H, W, 3), uint8."""
        return self._pixels[rows]


def read_corpus(config: Config, log: Log) -> Corpus:
    """Reads the dataset and says what it holds and what was left out."""
    corpus = read_dataset(config.data)
    sizes = ", ".join(f"{len(corpus.split(name)):,} {name}" for name in SPLITS)
    log(f"data: {config.data.type} at {config.data.root}: pictures {sizes}")
    if summary := corpus.problems.summary():
        log(f"data: left out {summary}")
    return corpus


def extract(config: Config, log: Log | None = None) -> Features:
    """Makes or completes the feature store of a config's dataset, or the several of a list of encoders.

    Raises:
        DataError: The config trains its encoder, so there is nothing to store.
    """
    require_config(config, "extract")
    log = log or Log()
    if config.trains_encoder:
        raise DataError("encoder.trainable is true: its features change while it learns, so none are stored")
    corpus = read_corpus(config, log)
    if any(encoder.adapt for encoder in config.encoders):
        from capsmith.adapting import adapt_encoders

        adapt_encoders(config, corpus, log)
    return _store(config, corpus.records, log)


def _store(config: Config, records: Sequence[Record], log: Log, view: int = 0) -> Features:
    pictures = [(record.image_id, record.path) for record in records]
    stores = [extract_features(pictures, encoder, config.features, log, view) for encoder in config.encoders]
    return stores[0] if len(stores) == 1 else JoinedStore(stores)


def prepare(
    config: Config,
    splits: Sequence[str],
    log: Log,
    corpus: Corpus | None = None,
    encoder: "Encoder | JoinedEncoder | None" = None,
) -> Prepared:
    """Reads the dataset and makes its features ready.

    Args:
        config: The config.
        splits: The splits that will be used; each must hold a picture.
        log: Takes lines for people.
        corpus: The dataset, when it was read already.
        encoder: The encoder, when it is trained and was built already.
    """
    corpus = corpus or read_corpus(config, log)
    require_splits(config, corpus, splits)
    records = [record for record in corpus.records if record.split in SPLITS]
    if not config.trains_encoder:
        store = _store(config, records, log)
        return Prepared(_readable(records, store), store, store.shape, None)
    if encoder is None:
        from capsmith.features.backbone import build_encoders

        encoder = build_encoders(config.encoders)
    (encoder,) = encoder.parts
    used = [record for record in records if record.split in splits]
    pictures = Pictures(used, encoder.image_size, config.features.workers, log)
    share = len(pictures.broken) / len(used)
    if share > config.features.max_broken:
        raise DataError(
            f"{len(pictures.broken)} of {len(used)} pictures cannot be read (features.max_broken allows "
            f"{config.features.max_broken:.0%}); the first: {next(iter(pictures.broken.values()))}"
        )
    return Prepared(_readable(used, pictures), pictures, encoder.feature_shape, encoder)


def training_views(config: Config, prepared: Prepared, log: Log) -> list[Features]:
    """Makes the features of the random views that a training shows of its pictures, one store a view."""
    records = prepared.split("train")
    return [_store(config, records, log, number) for number in range(1, config.training.views + 1)]


def require_splits(config: Config, corpus: Corpus, splits: Sequence[str]) -> None:
    """Raises DataError when a split holds no picture."""
    for name in splits:
        if not corpus.split(name):
            hint = ", or evaluation.after_training" if name == config.evaluation.after_training else ""
            raise DataError(
                f"the {name} split of {config.data.root} holds no picture (see the data section's split{hint})"
            )


def require_encoder(config: Config, run: Path) -> None:
    """Checks that a config's encoder is still the one whose features a run was trained with.

    Raises:
        CheckpointError: It differs, as when another file lies where its weights were; or the run is damaged.
        FeatureError: Its weights are not there.
    """
    if config.trains_encoder:
        return  # it is part of the checkpoint
    for encoder, folder in zip(config.encoders, folders(run, len(config.encoders)), strict=True):
        note = read_json(folder / "encoder.json", CheckpointError)
        trained = note.get("fingerprint") if isinstance(note, dict) else None
        if not isinstance(trained, dict):
            raise CheckpointError(f"{folder}/encoder.json is damaged")
        if differs := differences(fingerprint(encoder), trained):
            raise CheckpointError(f"{run} was trained with features of another encoder ({differs})")


def _readable(records: Sequence[Record], source: Features | Pictures) -> tuple[Record, ...]:
    return tuple(record for record in records if record.image_id in source)
