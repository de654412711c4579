"""Features of a split for an export: its own encoder computes them from the images. No feature store is touched.

P images · L regions · D channels.
"""

import math
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from capsmith.core.errors import DataError, ImageError, memory_advice
from capsmith.core.log import get_logger
from capsmith.core.progress import progress_bar
from capsmith.data.prepare import Prepared, require_splits
from capsmith.data.records import Corpus, Record
from capsmith.models.exported_member import ExportedMember
from capsmith.vision.loading import load_images

logger = get_logger(__name__)
_NAMED = 5  # unreadable images named in the log


class ExportedFeatures:
    """Features of images in a temporary file, which disappears with this object; a ``FeatureSource``.

    Args:
        ids: The images.
        features: Their features (P, …).
    """

    def __init__(self, ids: Sequence[str], features: np.ndarray) -> None:
        self._row = {image_id: row for row, image_id in enumerate(ids)}
        self._features = features

    def __contains__(self, image_id: object) -> bool:
        return image_id in self._row

    def rows(self, ids: Sequence[str]) -> np.ndarray:
        """Returns the row of each image."""
        return np.array([self._row[image_id] for image_id in ids], np.int64)

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Returns the features (P, …) of rows."""
        return np.asarray(self._features[rows])


def exported_features(member: ExportedMember, corpus: Corpus, split: str) -> Prepared:
    """Computes the features of the images of a split.

    Args:
        member: The model, with its encoders.
        corpus: The dataset.
        split: The split.

    Raises:
        DataError: The split is empty, or too many images cannot be read.
    """
    require_splits(corpus, (split,))
    records, settings = corpus.split(split), member.config.features
    logger.info(f"features: computing those of {len(records):,} images with {member.run}")
    dtype = np.float16 if member.parts.store_float16 else np.float32
    size = (len(records), *member.feature_shape)
    with tempfile.TemporaryFile(prefix="capsmith-features-") as file:  # the memory map keeps it
        file.truncate(math.prod(size) * np.dtype(dtype).itemsize)
        features: Any = np.memmap(file, dtype, "r+", shape=size)
    readable: list[Record] = []
    unreadable: list[str] = []
    with progress_bar(total=len(records), desc="features", unit="image") as progress:
        for batch in _batches(member, records, settings.workers, settings.batch_size):
            pixels = [images for _, images in batch if not isinstance(images, ImageError)]
            if pixels:
                with memory_advice("features.batch_size", settings.batch_size):
                    encoded = member.encode(*(np.stack(part) for part in zip(*pixels, strict=True)))
                features[len(readable) : len(readable) + len(encoded)] = encoded
            readable += [record for record, images in batch if not isinstance(images, ImageError)]
            unreadable += [str(images) for _, images in batch if isinstance(images, ImageError)]
            progress.update(len(batch))
    for message in unreadable[:_NAMED]:
        logger.info(f"skipped: {message}")
    if len(unreadable) > settings.max_bad_fraction * len(records):
        raise DataError(
            f"{len(unreadable)} of {len(records)} images cannot be read (features.max_bad_fraction allows "
            f"{settings.max_bad_fraction:.0%}); the first: {unreadable[0]}"
        )
    source: Any = ExportedFeatures([record.image_id for record in readable], features)
    return Prepared(tuple(readable), source, member.feature_shape, None)


def _batches(
    member: ExportedMember, records: Sequence[Record], workers: int, count: int
) -> Iterator[list[tuple[Record, Any]]]:
    """Yields batches of records with their pixels for each encoder, or the error of an unreadable image."""
    streams = [
        load_images(((record, record.path) for record in records), encoder.image_size, workers)
        for encoder in member.encoders
    ]
    batch: list[tuple[Record, Any]] = []
    for loaded in zip(*streams, strict=True):
        errors = [pixels for _, pixels in loaded if isinstance(pixels, ImageError)]
        batch.append((loaded[0][0], errors[0] if errors else [pixels for _, pixels in loaded]))
        if len(batch) == count:
            yield batch
            batch = []
    if batch:
        yield batch
