"""Entrants that run images through a CNN: capsmith, the CNN alone, and the notebook's loop over images."""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.speed.contest import Round, told_by_a_new_process
from benchmarks.speed.corpus import images


def capsmith(encoder: str, folder: str, count: int, precision: str = "float32") -> Round:
    """From files to a finished store, extracted again in every round."""
    from capsmith.core.precision import dtype_scope
    from capsmith.vision import encoder as backbone
    from capsmith.vision import extraction
    from capsmith.vision.config import EncoderConfig, FeaturesConfig

    config = EncoderConfig(type=encoder, weights="none")
    with dtype_scope(precision):
        built = backbone.build_encoder(config)
    files = images(Path(folder), count)
    backbone.build_encoder = lambda _: built  # type: ignore[assignment]  # building is not what is measured

    def work() -> float:
        with tempfile.TemporaryDirectory() as cache:
            how = FeaturesConfig(cache=Path(cache), precision=precision)
            extraction.extract(files, config, how)
        return count

    extraction_warm = built.encode(np.zeros((32, *built.image_size, 3), np.uint8))
    assert len(extraction_warm) == 32
    return work


def alone(encoder: str, batches: int, batch: int = 32) -> Round:
    """The CNN on pixels in memory."""
    from capsmith.vision.config import EncoderConfig
    from capsmith.vision.encoder import build_encoder

    built = build_encoder(EncoderConfig(type=encoder, weights="none"))
    pixels = np.random.default_rng(0).integers(0, 256, (batch, *built.image_size, 3), np.uint8)
    built.encode(pixels)

    def work() -> float:
        for _ in range(batches):
            built.encode(pixels)
        return batch * batches

    return work


def notebook(application: str, folder: str, count: int) -> Round:
    """``load_img``, ``preprocess_input`` and ``predict`` for each image, stored in a dictionary."""
    import keras

    network = getattr(keras.applications, application)(weights=None, include_top=False, pooling="avg")
    files = images(Path(folder), count)

    def one(path: Path) -> np.ndarray:
        pixels = keras.utils.img_to_array(keras.utils.load_img(path, target_size=(224, 224)))
        return np.asarray(network.predict(pixels[None] / 127.5 - 1.0, verbose=0))

    one(files[0][1])

    def work() -> float:
        found = {name: one(path) for name, path in files}
        return len(found)

    return work


def likeness(encoder: str) -> dict[str, float]:
    """Returns the lowest cosine between bfloat16 and float32 features of some images, and that of two images."""
    return told_by_a_new_process("benchmarks.speed.encoders", encoder)


def main() -> None:
    """Prints the cosines."""
    from capsmith.core.precision import dtype_scope
    from capsmith.vision.config import EncoderConfig
    from capsmith.vision.encoder import build_encoder
    from capsmith.vision.images import load_image

    found = []
    with tempfile.TemporaryDirectory() as folder:
        files = images(Path(folder), 16)
        for precision in ("float32", "bfloat16"):
            with dtype_scope(precision):
                built = build_encoder(EncoderConfig(type=sys.argv[1], weights="none"))
            found.append(built.encode(np.stack([load_image(path, built.image_size) for _, path in files])))
    flat = [np.asarray(each, np.float64).reshape(len(each), -1) for each in found]
    one, other = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in flat)
    own, others = np.diagonal(one @ other.T), one @ one.T - 2 * np.eye(len(one))
    print(json.dumps({"extract_bf16_cosine": own.min(), "extract_cosine_of_others": others.max()}))


if __name__ == "__main__":
    main()
