"""Measures how memory and time grow with the data: one stage on a number of images, in its own process.

python -m benchmarks.speed.growth train 8000
"""

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.speed.contest import told_by_a_new_process

STAGES = ("train", "extract", "decode")
GRID = (64, 1280)


def measure(stage: str, count: int) -> dict[str, float]:
    """Returns seconds and gigabytes of a stage, measured in a new process."""
    return told_by_a_new_process("benchmarks.speed.growth", stage, str(count))


def main() -> None:
    """Runs one stage and prints its figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("images", type=int)
    args = parser.parse_args()
    import keras

    keras.ops.convert_to_numpy(keras.ops.matmul(keras.ops.ones((8, 8)), keras.ops.ones((8, 8))))
    imported = peak()
    with tempfile.TemporaryDirectory() as folder:
        seconds = {"train": train, "extract": extract, "decode": decode}[args.stage](Path(folder), args.images)
    print(
        json.dumps(
            {"seconds": seconds, "gigabytes": peak() - imported, "imported": imported, "keras": keras.__version__}
        )
    )


def peak() -> float:
    """Returns the peak memory of this process in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


def store(folder: Path, count: int) -> Any:
    """Creates a grid store for a number of images; the file is sparse and takes no disk."""
    import numpy as np

    from capsmith.vision.store import FeatureStore, Manifest

    np.lib.format.open_memmap(folder / "features.npy", "w+", np.float16, (count, *GRID)).flush()
    Manifest({}, GRID, "float16", [str(n) for n in range(count)], [0] * count).write(folder)
    return FeatureStore.open(folder)


def train(folder: Path, count: int, steps: int = 30) -> float:
    """Trains the attention model for some steps on images from all over the store; returns seconds per step."""
    import keras

    from benchmarks.speed.corpus import examples, vocabulary
    from capsmith.config import load_config
    from capsmith.core.compilation import training_step
    from capsmith.data.batches import Batches, Example
    from capsmith.data.sources import TrainingSource
    from capsmith.models.caption_model import build_model

    config = load_config("flickr8k_attention.yaml")
    model = build_model(config, vocabulary(), GRID, None, None)
    model.compile(keras.optimizers.Adam(1e-3, use_ema=True, ema_momentum=0.99))
    model.optimizer.build(model.trainable_variables)
    some = examples(1000)
    numbered = [Example(n, some[n % 1000].captions) for n in range(count)]
    made = Batches(TrainingSource(store(folder, count)), numbered, 160, 0)
    learn = training_step(model)
    started = time.perf_counter()
    for index in range(steps):
        learn(*made[index % len(made)])
    return (time.perf_counter() - started) / steps


def extract(folder: Path, count: int) -> float:
    """Extracts MobileNetV2 features at 128 × 128 from a few files, repeated; returns seconds per image."""
    from benchmarks.speed.corpus import images
    from capsmith.vision.config import EncoderConfig, FeaturesConfig
    from capsmith.vision.extraction import extract as run

    few = images(folder / "images", 64)
    config = EncoderConfig(type="mobilenet_v2", weights="none", output="grid", image_size=128)
    started = time.perf_counter()
    run([(str(n), few[n % 64][1]) for n in range(count)], config, FeaturesConfig(cache=folder), lambda line: None)
    return (time.perf_counter() - started) / count


def decode(folder: Path, count: int) -> float:
    """Captions images from a store with beam 5; returns seconds per image."""
    import numpy as np

    from benchmarks.speed.corpus import vocabulary
    from capsmith.config import load_config
    from capsmith.decoding.config import BeamConfig
    from capsmith.decoding.search import search
    from capsmith.decoding.stepper import DecoderStepper
    from capsmith.models.caption_model import build_model

    seen = store(folder, count)
    model = build_model(load_config("flickr8k_attention.yaml"), vocabulary(), GRID, None, None)
    stepper = DecoderStepper(model.decoder)
    started = time.perf_counter()
    for first in range(0, count, 128):
        rows = np.arange(first, min(first + 128, count))
        search(stepper, seen.gather(rows), BeamConfig(beam_size=5, max_length=12))
    return (time.perf_counter() - started) / count


if __name__ == "__main__":
    main()
