"""Corrected captions for the captioner of ``tests.support.shapes``: colours that it never saw, in new words."""

import itertools
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from tests.support import shapes

COLOURS = {"golden": (235, 200, 40), "violet": (150, 50, 200)}
COPIES = 5
LEARN = ("training.epochs=30", "training.learning_rate=0.003", "training.batch_size=24")
"""Settings with which the tiny captioner learns them in seconds."""


def corrections() -> dict[str, str]:
    """Returns the caption of each of 60 images."""
    scenes = itertools.product(COLOURS, shapes.SHAPES, shapes.SIDES, range(COPIES))
    return {f"{c}/{s}_{side}_{copy}.png": f"a {c} {s} upon the {side}" for c, s, side, copy in scenes}


def make_images(root: Path) -> Path:
    """Draws the images below ``root``, on grey; returns it."""
    for number, name in enumerate(corrections()):
        colour, rest = name.split("/")
        shape, side, _ = rest.split("_")
        rng = np.random.default_rng(number)
        x, y = shapes.SIDES[side] + rng.integers(-1, 2), 16 + rng.integers(-2, 3)
        width, height = shapes.SHAPES[shape]
        image = Image.new("RGB", (shapes.SIDE, shapes.SIDE), (120, 120, 120))
        ImageDraw.Draw(image).rectangle((x - width, y - height, x + width, y + height), fill=COLOURS[colour])
        (root / colour).mkdir(parents=True, exist_ok=True)
        image.save(root / name)
    return root
