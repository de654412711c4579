"""Features made from those of an earlier layer that are there already, instead of from the images."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from capsmith.core.log import get_logger
from capsmith.core.progress import progress_bar
from capsmith.vision.config import EncoderConfig, FeaturesConfig
from capsmith.vision.extraction import store_folder
from capsmith.vision.fingerprint import fingerprint
from capsmith.vision.journal import Journal, known, locked
from capsmith.vision.store import FeatureStore, Manifest

logger = get_logger(__name__)


def fill(
    earlier: FeatureStore,
    images: Sequence[tuple[str, Path]],
    rest: keras.Model,
    encoder: EncoderConfig,
    features: FeaturesConfig,
) -> None:
    """Begins an encoder's store with the images whose features up to a layer are known; the rest is for `extract`.

    The numbers are those of `extract` but for the rounding of the earlier features to float16.

    Args:
        earlier: Grids (L, C) of the earlier layer.
        images: (image id, path) of all images of the data set, or of a part of it.
        rest: From the earlier layer's grid (P, H, W, C) to the encoder's features.
        encoder: The encoder whose store it is.
        features: Where the store is kept.
    """
    folder = store_folder(images, encoder, features)
    expected = fingerprint(encoder)
    with locked(folder):
        manifest = known(folder, expected)
        there = manifest.file_sizes() if manifest else {}
        todo = [
            (image, path.stat().st_size)
            for image, path in dict(images).items()
            if image in earlier and image not in there
        ]
        if not todo:
            return
        if manifest is None:
            shape = tuple(int(n) for n in rest.output_shape[1:])
            dtype = "float32" if encoder.output == "pooled" else "float16"
            manifest = Manifest(expected, shape, dtype, precision=earlier.precision)  # others follow in the same
        logger.info(f"features: {len(todo):,} images go on from an earlier layer of {encoder.type} into {folder}")
        journal = Journal(folder, manifest)
        try:
            with progress_bar(total=len(todo), desc="features", unit="image") as shown:
                for first in range(0, len(todo), features.batch_size):
                    some = todo[first : first + features.batch_size]
                    journal.append([i for i, _ in some], [s for _, s in some], _through(rest, earlier, some), {})
                    shown.update(len(some))
            journal.finish()
        finally:
            journal.close()


def _through(rest: keras.Model, earlier: FeatureStore, some: Sequence[tuple[str, int]]) -> np.ndarray:
    grid = rest.input_shape[1:]
    seen = earlier.gather(earlier.rows([image for image, _ in some])).astype(np.float32).reshape(-1, *grid)
    return np.asarray(rest.predict_on_batch(seen), np.float32)
