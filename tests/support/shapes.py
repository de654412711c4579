"""The dataset for tests that train: 120 images of coloured shapes that a tiny captioner learns in seconds.

The other one, ``tests.support.toy``, has 12 images and is not meant to be learned: tests of files, errors and the
command line use it.

Four colours, three shapes, two sides: 24 scenes, each drawn several times in slightly different places. The train
split shows every scene: held-out images differ in the position of the shape, not in words.
"""

import atexit
import csv
import functools
import itertools
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

COLOURS = {"red": (220, 40, 40), "green": (40, 170, 60), "blue": (50, 70, 220), "white": (250, 250, 250)}
SHAPES = {"square": (6, 6), "bar": (7, 2), "pole": (2, 10)}
SIDES = {"left": 9, "right": 23}
SCENES = list(itertools.product(COLOURS, SHAPES, SIDES))
SPLITS = ("train", "train", "train", "dev", "test")
SIDE = 32


def draw(colour: str, shape: str, side: str, seed: int) -> Image.Image:
    """Draws one shape on black, slightly shifted."""
    rng = np.random.default_rng(seed)
    x, y = SIDES[side] + rng.integers(-1, 2), 16 + rng.integers(-2, 3)
    width, height = SHAPES[shape]
    image = Image.new("RGB", (SIDE, SIDE))
    ImageDraw.Draw(image).rectangle((x - width, y - height, x + width, y + height), fill=COLOURS[colour])
    return image


def captions(colour: str, shape: str, side: str) -> tuple[str, str]:
    """Returns the two captions of a scene."""
    return f"a {colour} {shape} on the {side}", f"on the {side} there is a {colour} {shape}"


def make_data(root: Path) -> Path:
    """Writes 120 images and ``captions.csv`` below ``root``; returns it."""
    (root / "images").mkdir(parents=True)
    with (root / "captions.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "caption", "split"])
        for number, (copy, scene) in enumerate(itertools.product(range(len(SPLITS)), SCENES)):
            name = f"{'_'.join(scene)}_{copy}.png"
            draw(*scene, seed=number).save(root / "images" / name)
            for caption in captions(*scene):
                writer.writerow([name, caption, SPLITS[copy]])
    return root


@functools.cache
def workplace() -> Path:
    """Returns a folder that is deleted when the tests end."""
    folder = Path(tempfile.mkdtemp(prefix="capsmith-shapes-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.cache
def data() -> Path:
    """Returns the data set, drawn once."""
    return make_data(workplace() / "data")


def settings(**sections: dict[str, Any] | int) -> dict[str, Any]:
    """Returns the config of a small decoder on a frozen random CNN.

    Args:
        **sections: Changes by section, as in ``training={"epochs": 4}``.
    """
    values: dict[str, Any] = {
        "seed": 1,
        "data": {"type": "folder", "root": str(data())},
        "text": {"min_count": 1, "max_length": 12},
        "encoder": {"type": "small_cnn", "weights": "none", "image_size": SIDE},
        "features": {"cache": str(workplace() / "cache")},
        "decoder": {"type": "inject", "mode": "par", "units": 16, "dropout": 0.1, "embedding": {"size": 16}},
        "training": {"epochs": 4, "batch_size": 24, "learning_rate": 0.01, "patience": None},
        "decoding": {"type": "beam", "beam_size": 3, "max_length": 12},
        "evaluation": {"examples": 4},
    }
    for name, changed in sections.items():
        values[name] = {**values[name], **changed} if isinstance(changed, dict) else changed
    return values


def save_patches(path: Path) -> Path:
    """Writes a custom encoder as a complete ``.keras`` model: mean colours of 4 × 4 patches."""
    import keras

    pixels = keras.Input((SIDE, SIDE, 3))
    keras.Model(pixels, keras.layers.Flatten()(keras.layers.AveragePooling2D(4)(pixels))).save(path)
    return path


@functools.cache
def trained() -> Path:
    """Returns the run of a captioner that has learned the shapes, trained once."""
    from capsmith import load_config, train

    run = workplace() / "trained"
    patches = save_patches(workplace() / "patches.keras")
    config = settings(
        encoder={"type": "custom", "weights": str(patches), "preprocess": "tf"},
        decoder={"units": 64},
        training={"epochs": 20},
    )
    train(load_config(config), run)
    return run
