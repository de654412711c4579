"""A whole training on tiny drawn images, to see that everything works here, and how fast: seconds."""

import csv
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from capsmith.config import load_config
from capsmith.core.errors import CapsmithError
from capsmith.core.log import quiet_terminal
from capsmith.models.captioner import Captioner
from capsmith.training.fit import train
from capsmith.training.history import read_csv

_COLOURS = {"red": (220, 40, 40), "green": (40, 170, 60), "blue": (50, 70, 220), "yellow": (240, 200, 30)}
_THINGS = {"ball": (8, 8), "bar": (11, 3), "pole": (3, 11)}  # half of their width and height
_SPLITS = {"train": 40, "dev": 2, "test": 2}  # images of each thing in each colour
_SIDE = 32
_EPOCHS = 6  # of a round
_GOOD = 0.75  # of the held-out images; by chance one in twelve is right


@dataclass(frozen=True)
class Trial:
    """What came of it.

    Attributes:
        said: What the loaded model says of the first held-out image, a red ball.
        right: Held-out images whose colour and thing are named.
        held_out: How many there are.
        rounds: How many times it was trained, each going on from the one before.
        captions_per_second: In training; checkpoints and dev scores take their part of the time.
        images_per_second: From file to caption, one image after another.
    """

    said: str
    right: int
    held_out: int
    rounds: int
    captions_per_second: float
    images_per_second: float

    @property
    def good(self) -> bool:
        """Whether it names what most held-out images show."""
        return self.right >= _GOOD * self.held_out


def smoke_train(seconds: float = 20.0) -> Trial:
    """Trains until most held-out images are captioned right, or time is up; then saves, loads and captions.

    Args:
        seconds: No further round is begun that would take longer than this in all; the first one always is.

    Raises:
        CapsmithError: The loaded model says something else than the one that was saved.
    """
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        said = _draw(place)
        rounds, start = 0, None
        while True:
            rounds, run = rounds + 1, place / f"run{rounds + 1}"
            with quiet_terminal():
                captioner = train(load_config(_settings(place, start)), run)
            trial = _judged(captioner, run, said, rounds)
            spent = time.perf_counter() - started
            if trial.good or spent + spent / rounds > seconds:
                return trial
            start = run


def _judged(captioner: Captioner, run: Path, said: Sequence[tuple[Path, str]], rounds: int) -> Trial:
    loaded = Captioner.load(run)
    before = captioner.caption(said[0][0]).text
    after = loaded.caption(said[0][0]).text
    if before != after:
        raise CapsmithError(f"the model said “{before}” before it was saved and “{after}” after")
    started = time.perf_counter()
    right = sum(loaded.caption(path).text == caption for path, caption in said)
    images = len(said) / (time.perf_counter() - started)
    epoch = statistics.median(row["seconds"] for row in read_csv(run / "history.csv")[-_EPOCHS // 2 :])
    captions = _SPLITS["train"] * len(_COLOURS) * len(_THINGS)
    return Trial(after, right, len(said), rounds, captions / max(epoch, 0.01), images)


def _draw(place: Path) -> list[tuple[Path, str]]:
    """Draws the images; returns the held-out ones with their captions."""
    (place / "images").mkdir()
    rng, rows = np.random.default_rng(0), []
    for colour in _COLOURS:
        for thing in _THINGS:
            for split, count in _SPLITS.items():
                for number in range(count):
                    name = f"{colour}_{thing}_{split}{number}.png"
                    _image(colour, thing, rng).save(place / "images" / name)
                    rows.append((name, f"a {colour} {thing}", split))
    with (place / "captions.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("image", "caption", "split"), *rows])
    return [(place / "images" / name, caption) for name, caption, split in rows if split == "test"]


def _image(colour: str, thing: str, rng: np.random.Generator) -> Image.Image:
    """Draws one thing on light grey, a little off the middle."""
    image = Image.new("RGB", (_SIDE, _SIDE), (int(rng.integers(190, 250)),) * 3)
    x, y = rng.integers(13, 20, 2).tolist()
    width, height = (half * rng.uniform(0.85, 1.1) for half in _THINGS[thing])
    draw = ImageDraw.Draw(image)
    shape = draw.ellipse if thing == "ball" else draw.rectangle
    shape((x - width, y - height, x + width, y + height), fill=_COLOURS[colour])
    return image


def _settings(place: Path, start: Path | None) -> dict[str, object]:
    return {
        "data": {"type": "folder", "root": str(place)},
        "text": {"min_count": 1, "max_length": 6},
        "encoder": {"type": "small_cnn", "weights": "none", "image_size": _SIDE},
        "features": {"cache": str(place / "cache")},
        "decoder": {"type": "inject", "units": 64, "embedding": {"size": 16}, "standardise": True},
        "training": {
            "epochs": _EPOCHS,
            "batch_size": 24,
            "learning_rate": 0.01,
            "metric": "rouge",
            "patience": None,
            "resume_weights_from": None if start is None else str(start),
        },
        "decoding": {"type": "greedy", "max_length": 6},
        "evaluation": {"metrics": ["rouge"], "after_training": None},
    }
