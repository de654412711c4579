"""Ways of bringing pictures through a CNN: capsmith's, the CNN alone, and the notebook's one picture at a time."""

import tempfile
from pathlib import Path

import numpy as np
from benchmarks.speed.contest import Round
from benchmarks.speed.corpus import pictures


def capsmith(encoder: str, folder: str, count: int, precision: str = "float32") -> Round:
    """From files to a finished store, all of it anew in every round."""
    from capsmith.features import backbone, extraction
    from capsmith.features.config import EncoderConfig, FeaturesConfig

    config = EncoderConfig(type=encoder, weights="none")
    built = backbone.build_encoder(config)
    files = pictures(Path(folder), count)
    backbone.build_encoder = lambda _: built  # type: ignore[assignment]  # building is not what is measured

    def work() -> float:
        with tempfile.TemporaryDirectory() as cache:
            extraction.extract(files, config, FeaturesConfig(cache=Path(cache)), lambda line: None)
        return count

    extraction_warm = built.encode(np.zeros((32, *built.image_size, 3), np.uint8))
    assert len(extraction_warm) == 32
    return work


def alone(encoder: str, batches: int, batch: int = 32) -> Round:
    """The CNN on pixels that are there already."""
    from capsmith.features.backbone import build_encoder
    from capsmith.features.config import EncoderConfig

    built = build_encoder(EncoderConfig(type=encoder, weights="none"))
    pixels = np.random.default_rng(0).integers(0, 256, (batch, *built.image_size, 3), np.uint8)
    built.encode(pixels)

    def work() -> float:
        for _ in range(batches):
            built.encode(pixels)
        return batch * batches

    return work


def notebook(application: str, folder: str, count: int) -> Round:
    """``load_img``, ``preprocess_input`` and ``predict`` for each picture, kept in a dictionary."""
    import keras

    network = getattr(keras.applications, application)(weights=None, include_top=False, pooling="avg")
    files = pictures(Path(folder), count)

    def one(path: Path) -> np.ndarray:
        pixels = keras.utils.img_to_array(keras.utils.load_img(path, target_size=(224, 224)))
        return np.asarray(network.predict(pixels[None] / 127.5 - 1.0, verbose=0))

    one(files[0][1])

    def work() -> float:
        found = {name: one(path) for name, path in files}
        return len(found)

    return work
