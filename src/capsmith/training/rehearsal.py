"""Old images and captions that a training repeats, so that the model in ``training.transfer_from`` stays as good.

P images · L regions · D channels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from capsmith.config import Config
from capsmith.core.errors import CapsmithError, CheckpointError, one_line
from capsmith.core.log import get_logger
from capsmith.data.prepare import prepare
from capsmith.data.records import Corpus, Record, read_dataset
from capsmith.data.sources import FeatureSource
from capsmith.decoding.config import SampleConfig
from capsmith.models.captioner import Captioner
from capsmith.models.export_folder import ExportFolder
from capsmith.models.model_paths import is_model
from capsmith.models.run_config import run_config
from capsmith.training.config import RehearsalConfig
from capsmith.vision.config import FeaturesConfig
from capsmith.vision.extraction import store_folder

logger = get_logger(__name__)

_SAMPLES = 5  # captions sampled for each remembered image: what the model says, as often as it says it
T = TypeVar("T")


@dataclass(frozen=True)
class Rehearsal:
    """Old images and their captions.

    Attributes:
        source: Features or pixels of the images.
        records: The images with their captions.
    """

    source: FeatureSource
    records: Sequence[Record]


class RememberedImages:
    """The features that a model's summary of its training images holds; a ``FeatureSource``.

    The summary holds pooled features in their principal components: what the regions of an image have in common. How
    they differ comes from other images.

    Args:
        pooled: Pooled features (P, D).
        others: Features of other images, (N, D) or (N, L, D).
    """

    def __init__(self, pooled: np.ndarray, others: np.ndarray) -> None:
        self._pooled = pooled.astype(np.float32)
        self._low, self._high = others.min(), others.max()
        if others.ndim == 3:
            self._patterns = others.astype(np.float32) - others.mean(axis=1, keepdims=True, dtype=np.float32)
        else:
            self._patterns = np.zeros((1, others.shape[1]), np.float32)

    def __len__(self) -> int:
        return len(self._pooled)

    @property
    def ids(self) -> list[str]:
        """The names of the images: their numbers."""
        return [str(number) for number in range(len(self))]

    def rows(self, ids: Sequence[str]) -> np.ndarray:
        """Returns the row of each image."""
        return np.array([int(image_id) for image_id in ids], np.int64)

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Returns the features (P, …) of rows."""
        pooled, patterns = self._pooled[rows], self._patterns[rows % len(self._patterns)]
        features: np.ndarray = patterns + (pooled if patterns.ndim == 2 else pooled[:, None])
        return features.clip(self._low, self._high).astype(np.float16)


def rehearsal_of(captioner: Captioner, own: Callable[[], np.ndarray]) -> Rehearsal | None:
    """Returns what a training repeats, as its config says; None if that is nothing.

    Args:
        captioner: The captioner in training.
        own: Returns features of some of its own training images.

    Raises:
        CheckpointError: ``training.rehearsal.source`` names what the old model does not have.
    """
    training = captioner.config.training
    settings, model = training.rehearsal, training.transfer_from
    if settings is None or model is None:
        return None
    model = first_model(model)
    faults: list[str] = []
    finders: dict[str, Callable[[], Rehearsal | str]] = {
        "data": lambda: _of_data(captioner, model, settings),
        "model": lambda: _of_model(captioner, model, settings, own),
    }
    for source, find in finders.items():
        if settings.source not in ("auto", source):
            continue
        found = find()
        if isinstance(found, Rehearsal):
            what = "images of its training data" if source == "data" else "images that it remembers"
            logger.info(f"rehearsal: captions of {len(found.records):,} {what} ({model})")
            return found
        faults.append(found)
    reason = "; ".join(faults)
    if settings.source != "auto":
        raise CheckpointError(f"training.rehearsal.source {settings.source}: {reason}; set it to auto")
    logger.info(f"no rehearsal of old captions: {reason}")
    return None


def first_model(model: Path) -> Path:
    """Returns the model with which a chain of trainings with rehearsal began, as far as it still exists.

    A model that was taught twice rehearses what it knew at first: the captions in between are its own to repeat.
    """
    seen = {model}
    while True:
        try:
            folder = ExportFolder.named(model)
            training = run_config(folder.path).training
            before = None if training.rehearsal is None else training.transfer_from
            if before is None or before in seen or not is_model(before):
                return model
        except CapsmithError:
            return model
        seen.add(before)
        model = before


def _of_data(captioner: Captioner, model: Path, settings: RehearsalConfig) -> Rehearsal | str:
    """Returns training images of a run, or why there are none."""
    config = captioner.config
    try:
        old = run_config(ExportFolder.named(model).path)
        if old.features.pickle is not None:
            return f"the features of {model} come from a pickle"
        corpus = read_dataset(old.data)
        records = evenly_spaced(corpus.split("train"), settings.images)
        prepared = prepare(Corpus(tuple(records)), config.encoders, cached_features(config, old, records), ("train",))
    except CapsmithError as error:
        return f"the data of {model} cannot be read ({one_line(error)[:120]})"
    if prepared.feature_shape != captioner.feature_shape:
        return f"the data of {model} has other features"
    return Rehearsal(prepared.source, prepared.records)


def cached_features(config: Config, old: Config, records: Sequence[Record]) -> FeaturesConfig:
    """Returns the settings of features of old images: the old cache if it has them, else the new one."""
    images = [(record.image_id, record.path) for record in records]
    known = [store_folder(images, encoder, old.features).is_dir() for encoder in config.encoders]
    return old.features if images and all(known) else config.features.model_copy(update={"store": None})


def _of_model(
    captioner: Captioner, model: Path, settings: RehearsalConfig, own: Callable[[], np.ndarray]
) -> Rehearsal | str:
    """Returns the summary of a model's training images with the model's captions, or why there is none."""
    if captioner.config.trains_encoder:
        return "the encoder is trained, and summaries hold features"
    old = Captioner.load(ExportFolder.named(model).path, encoder=False, overrides=["ensemble=[]"])
    if old.domain is None:
        return f"{model} has no summary of its training images"
    images = RememberedImages(old.domain.pooled(), own())
    ids = evenly_spaced(images.ids, settings.images)
    sampling = SampleConfig(samples=_SAMPLES, max_length=captioner.config.text.max_length, seed=captioner.config.seed)
    records = []
    for first in range(0, len(ids), old.images_at_once):
        batch = ids[first : first + old.images_at_once]
        for image_id, caption in zip(
            batch, old.caption_features(images.gather(images.rows(batch)), sampling), strict=True
        ):
            texts = [one.text for one in (caption, *caption.alternatives) if one.text]
            records += [Record(image_id, Path(image_id), tuple(texts), "train")] if texts else []
    return Rehearsal(images, records)


def evenly_spaced(items: Sequence[T], most: int) -> list[T]:
    """Returns at most ``most`` items, evenly spaced."""
    return [items[place] for place in np.unique(np.linspace(0, len(items) - 1, min(most, len(items))).astype(int))]
