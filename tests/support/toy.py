"""The dataset for tests of files, errors and the command line: 12 drawn images, one epoch of a tiny captioner.

Its captioner learns nothing useful; tests of what training learns use ``tests.support.shapes`` (120 images). Both
have the same interface: ``make_data``, ``settings``.
"""

import csv
import json
from pathlib import Path
from typing import Any

import yaml
from PIL import Image, ImageDraw

from capsmith.config import Config, load_config

COLOURS = {"red": (220, 40, 40), "green": (40, 170, 60), "blue": (50, 70, 220), "yellow": (235, 210, 40)}
SHAPES = ("ball", "box", "stripe")
SPLITS = {"red": "train", "green": "train", "blue": "dev", "yellow": "test"}
SIDE = 40


def image(colour: str, shape: str) -> Image.Image:
    """Draws a shape of one colour on grey."""
    image = Image.new("RGB", (SIDE, SIDE), (200, 200, 200))
    draw = ImageDraw.Draw(image)
    box = (6, 16, 34, 24) if shape == "stripe" else (10, 10, 30, 30)
    (draw.ellipse if shape == "ball" else draw.rectangle)(box, fill=COLOURS[colour])
    return image


def rows() -> list[dict[str, str]]:
    """Returns two captions for each of the twelve images."""
    return [
        {"image": f"{colour}_{shape}.png", "caption": caption, "split": SPLITS[colour]}
        for colour in COLOURS
        for shape in SHAPES
        for caption in (f"A {colour} {shape} on grey.", f"there is one {shape}, it is {colour}")
    ]


def make_data(root: Path) -> Path:
    """Writes ``captions.csv`` and ``images/`` below ``root``; returns it."""
    (root / "images").mkdir(parents=True)
    for colour in COLOURS:
        for shape in SHAPES:
            image(colour, shape).save(root / "images" / f"{colour}_{shape}.png")
    write_captions(root / "captions.csv", rows())
    return root


def write_captions(path: Path, content: list[dict[str, str]], **form: Any) -> None:
    """Writes rows as CSV; ``form`` goes to ``open`` (encoding, newline)."""
    with path.open("w", **{"encoding": "utf-8", "newline": "", **form}) as file:
        writer = csv.DictWriter(file, list(content[0]))
        writer.writeheader()
        writer.writerows(content)


def settings(data: Path, cache: Path) -> dict[str, Any]:
    """Returns the config: a frozen random CNN, a small inject decoder, one epoch."""
    return {
        "seed": 3,
        "data": {"type": "folder", "root": str(data)},
        "text": {"min_count": 1, "max_length": 10},
        "encoder": {"type": "small_cnn", "weights": "none", "image_size": 32},
        "features": {"cache": str(cache), "batch_size": 12},
        "decoder": {"type": "inject", "units": 16, "embedding": {"size": 8}},
        "training": {"epochs": 1, "batch_size": 12, "learning_rate": 0.01},
        "decoding": {"type": "beam", "beam_size": 2, "max_length": 12},
        "evaluation": {"examples": 4},
    }


def config_of(folder: Path, **changes: dict[str, Any]) -> Config:
    """Returns the config for ``folder/data``, with changes by section."""
    values = settings(folder / "data", folder / "cache")
    for section, change in changes.items():
        values[section] |= change
    return load_config(values)


def write_config(path: Path, values: dict[str, Any]) -> Path:
    """Writes a config as YAML; returns its path."""
    path.write_text(yaml.safe_dump(json.loads(json.dumps(values)), sort_keys=False), encoding="utf-8")
    return path
