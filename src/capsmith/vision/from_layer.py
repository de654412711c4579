"""Features computed from the stored features of an earlier layer instead of from the images."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from capsmith.core.log import get_logger
from capsmith.core.progress import progress_bar
from capsmith.core.readers.shard_members import file_size
from capsmith.vision.config import EncoderConfig, FeaturesConfig
from capsmith.vision.extraction import store_folder
from capsmith.vision.fingerprint import encoder_fingerprint
from capsmith.vision.journal import Journal, locked_store
from capsmith.vision.journal_lines import current_manifest
from capsmith.vision.manifest import Manifest
from capsmith.vision.store import FeatureStore

logger = get_logger(__name__)


def extract_from_layer(
    layer_store: FeatureStore,
    images: Sequence[tuple[str, Path]],
    head: keras.Model,
    encoder_config: EncoderConfig,
    features_config: FeaturesConfig,
) -> None:
    """Fills an encoder's store from the stored output of an earlier layer; `extract` computes the remaining images.

    The features equal those of `extract`, except for the rounding of the layer's output to float16.

    Args:
        layer_store: Grids (L, C) of the earlier layer.
        images: (image id, path) of the images to compute, all or some of the dataset.
        head: From the earlier layer's grid (P, H, W, C) to the encoder's features.
        encoder_config: The encoder whose store is filled.
        features_config: Location of the store, and the batch size.
    """
    folder = store_folder(images, encoder_config, features_config)
    fingerprint = encoder_fingerprint(encoder_config)
    with locked_store(folder):
        manifest = current_manifest(folder, fingerprint)
        done = manifest.file_sizes() if manifest else {}
        todo = [
            (image, file_size(path))
            for image, path in dict(images).items()
            if image in layer_store and image not in done
        ]
        if not todo:
            return
        if manifest is None:
            shape = tuple(int(n) for n in head.output_shape[1:])
            dtype = "float32" if encoder_config.output == "pooled" else "float16"
            # the remaining images will be extracted in the same precision
            manifest = Manifest(fingerprint, shape, dtype, precision=layer_store.precision)
        logger.info(
            f"features: computing {len(todo):,} images from an earlier layer of {encoder_config.type} into {folder}"
        )
        journal = Journal(folder, manifest)
        try:
            with progress_bar(total=len(todo), desc="features", unit="image") as progress:
                for start in range(0, len(todo), features_config.batch_size):
                    batch = todo[start : start + features_config.batch_size]
                    ids, sizes = [image for image, _ in batch], [size for _, size in batch]
                    journal.append(ids, sizes, _apply_head(head, layer_store, ids), {})
                    progress.update(len(batch))
            journal.finish()
        finally:
            journal.close()


def _apply_head(head: keras.Model, layer_store: FeatureStore, ids: Sequence[str]) -> np.ndarray:
    grid_shape = head.input_shape[1:]
    grids = layer_store.gather(layer_store.rows(ids)).astype(np.float32).reshape(-1, *grid_shape)
    return np.asarray(head.predict_on_batch(grids), np.float32)
