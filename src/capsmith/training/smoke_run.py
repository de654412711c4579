"""A training of seconds on tiny drawn images, to verify the installation and to measure its speed."""

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
from capsmith.models.run import RunDirectory
from capsmith.training.fit import train
from capsmith.training.history import read_csv

_COLOURS = {"red": (220, 40, 40), "green": (40, 170, 60), "blue": (50, 70, 220), "yellow": (240, 200, 30)}
_SHAPES = {"ball": (8, 8), "bar": (11, 3), "pole": (3, 11)}  # half width and half height in pixels
_SPLITS = {"train": 40, "dev": 2, "test": 2}  # images of each shape in each colour
_SIDE = 32  # pixels
_EPOCHS = 6  # per round
_PASSED = 0.75  # fraction of held-out images; by chance one in twelve is correct


@dataclass(frozen=True)
class SmokeResult:
    """The result of a smoke training.

    Attributes:
        caption: Caption of the first held-out image, a red ball, by the loaded model.
        correct: Held-out images whose colour and shape are named.
        held_out: Number of held-out images.
        rounds: Number of trainings, each of which starts from the weights of the previous one.
        captions_per_second: In training, with checkpoints and dev scores.
        images_per_second: From file to caption, one image after another.
    """

    caption: str
    correct: int
    held_out: int
    rounds: int
    captions_per_second: float
    images_per_second: float

    @property
    def passed(self) -> bool:
        """Whether most held-out images are captioned correctly."""
        return self.correct >= _PASSED * self.held_out


def smoke_train(seconds: float = 20.0) -> SmokeResult:
    """Trains until most held-out images are captioned correctly or time is up, and captions with the saved model.

    Args:
        seconds: Time limit: another round starts only if it is expected to end in time. The first round always runs.

    Raises:
        CapsmithError: The loaded model gives a different caption than before it was saved.
    """
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        held_out = _draw(root)
        rounds, previous = 0, None
        while True:
            rounds, run = rounds + 1, root / f"run{rounds + 1}"
            with quiet_terminal():
                captioner = train(load_config(_settings(root, previous)), run)
            result = _result(captioner, run, held_out, rounds)
            spent = time.perf_counter() - started
            if result.passed or spent + spent / rounds > seconds:
                return result
            previous = run


def _result(captioner: Captioner, run: Path, held_out: Sequence[tuple[Path, str]], rounds: int) -> SmokeResult:
    loaded = Captioner.load(run)
    before, after = (one.caption(held_out[0][0]).text for one in (captioner, loaded))
    if before != after:
        raise CapsmithError(f"the model's caption was “{before}” before it was saved and “{after}” after")
    started = time.perf_counter()
    correct = sum(loaded.caption(path).text == caption for path, caption in held_out)
    images_per_second = len(held_out) / (time.perf_counter() - started)
    rows = read_csv(RunDirectory(run).history)
    epoch = statistics.median(row["seconds"] for row in rows[-_EPOCHS // 2 :])
    captions = _SPLITS["train"] * len(_COLOURS) * len(_SHAPES)
    return SmokeResult(after, correct, len(held_out), rounds, captions / max(epoch, 0.01), images_per_second)


def _draw(root: Path) -> list[tuple[Path, str]]:
    """Draws the images and writes their captions; returns path and caption of the held-out ones."""
    (root / "images").mkdir()
    rng, rows = np.random.default_rng(0), []
    for colour in _COLOURS:
        for shape in _SHAPES:
            for split, count in _SPLITS.items():
                for number in range(count):
                    name = f"{colour}_{shape}_{split}{number}.png"
                    _image(colour, shape, rng).save(root / "images" / name)
                    rows.append((name, f"a {colour} {shape}", split))
    with (root / "captions.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("image", "caption", "split"), *rows])
    return [(root / "images" / name, caption) for name, caption, split in rows if split == "test"]


def _image(colour: str, shape: str, rng: np.random.Generator) -> Image.Image:
    """Draws a shape on light grey, near the centre."""
    image = Image.new("RGB", (_SIDE, _SIDE), (int(rng.integers(190, 250)),) * 3)
    x, y = rng.integers(13, 20, 2).tolist()
    width, height = (half * rng.uniform(0.85, 1.1) for half in _SHAPES[shape])
    draw = ImageDraw.Draw(image)
    outline = draw.ellipse if shape == "ball" else draw.rectangle
    outline((x - width, y - height, x + width, y + height), fill=_COLOURS[colour])
    return image


def _settings(root: Path, previous: Path | None) -> dict[str, object]:
    return {
        "data": {"type": "folder", "root": str(root)},
        "text": {"min_count": 1, "max_length": 6},
        "encoder": {"type": "small_cnn", "weights": "none", "image_size": _SIDE},
        "features": {"cache": str(root / "cache")},
        "decoder": {"type": "inject", "units": 64, "embedding": {"size": 16}, "standardise": True},
        "training": {
            "epochs": _EPOCHS,
            "batch_size": 24,
            "learning_rate": 0.01,
            "metric": "rouge",
            "patience": None,
            "resume_weights_from": None if previous is None else str(previous),
        },
        "decoding": {"type": "greedy", "max_length": 6},
        "evaluation": {"metrics": ["rouge"], "after_training": None},
    }
