"""Extraction of image features: capsmith, the CNN alone, and a typical notebook that encodes one image at a time."""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from benchmarks.speed.contest import Round, told_by_a_new_process
from benchmarks.speed.corpus import images


def capsmith(encoder: str, folder: str, count: int, precision: str = "float32") -> Round:
    """From image files to a finished store; each round starts with an empty cache."""
    from capsmith.core.precision import dtype_scope
    from capsmith.vision import encoder as encoder_module
    from capsmith.vision import extraction
    from capsmith.vision.config import EncoderConfig, FeaturesConfig

    config = EncoderConfig(type=encoder, weights="none")
    with dtype_scope(precision):
        built = encoder_module.build_encoder(config)
    files = images(Path(folder), count)
    encoder_module.build_encoder = lambda _: built  # type: ignore[assignment]  # the time to build is not measured

    def work() -> float:
        with tempfile.TemporaryDirectory() as cache:
            extraction.extract(files, config, FeaturesConfig(cache=Path(cache), precision=precision))
        return count

    warm_up = built.encode(np.zeros((32, *built.image_size, 3), np.uint8))
    assert len(warm_up) == 32
    return work


def alone(encoder: str, batches: int, batch: int = 32) -> Round:
    """The CNN on pixels that are already decoded."""
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
    """``load_img``, ``preprocess_input`` and ``predict`` for each image; the results go to a dictionary."""
    import keras

    network = getattr(keras.applications, application)(weights=None, include_top=False, pooling="avg")
    files = images(Path(folder), count)

    def encode(path: Path) -> np.ndarray:
        pixels = keras.utils.img_to_array(keras.utils.load_img(path, target_size=(224, 224)))
        return np.asarray(network.predict(pixels[None] / 127.5 - 1.0, verbose=0))

    encode(files[0][1])

    def work() -> float:
        return len({name: encode(path) for name, path in files})

    return work


def likeness(encoder: str) -> dict[str, float]:
    """Returns the lowest cosine between an image's bfloat16 and float32 features, and the highest of two images."""
    return told_by_a_new_process("benchmarks.speed.encoders", encoder)


def main() -> None:
    """Prints the result of ``likeness`` as JSON."""
    from capsmith.core.precision import dtype_scope
    from capsmith.vision.config import EncoderConfig
    from capsmith.vision.encoder import build_encoder
    from capsmith.vision.images import load_image

    features = []
    with tempfile.TemporaryDirectory() as folder:
        files = images(Path(folder), 16)
        for precision in ("float32", "bfloat16"):
            with dtype_scope(precision):
                built = build_encoder(EncoderConfig(type=sys.argv[1], weights="none"))
            features.append(built.encode(np.stack([load_image(path, built.image_size) for _, path in files])))
    flat = [np.asarray(array, np.float64).reshape(len(array), -1) for array in features]
    exact, rounded = (array / np.linalg.norm(array, axis=1, keepdims=True) for array in flat)
    same, others = np.diagonal(exact @ rounded.T), exact @ exact.T - 2 * np.eye(len(exact))
    print(json.dumps({"extract_bf16_cosine": same.min(), "extract_cosine_of_others": others.max()}))


if __name__ == "__main__":
    main()
