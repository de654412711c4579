"""A whole training on a dozen drawn pictures, to see that everything works here: seconds."""

import csv
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw

from capsmith.captioner import Captioner
from capsmith.config import load_config
from capsmith.errors import CapsmithError
from capsmith.runs import Log
from capsmith.training.fit import train

_COLOURS = {"red": (220, 40, 40), "green": (40, 170, 60), "blue": (50, 70, 220)}
_SHAPES = ("ball", "box")
_SIDE = 32


def try_out() -> str:
    """Trains, saves, loads and captions; returns what the model says of a red ball.

    Raises:
        CapsmithError: The loaded model says something else than the one that was saved.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        _draw(place)
        captioner = train(load_config(_settings(place)), place / "run", log=Log(place / "log.txt", quiet=True))
        picture = place / "images" / "red_ball_0.png"
        before, after = (one.caption(picture) for one in (captioner, Captioner.load(place / "run")))
        if before.text != after.text:
            raise CapsmithError(f"the model said “{before}” before it was saved and “{after}” after")
        return f"“{after}”"


def _draw(place: Path) -> None:
    (place / "images").mkdir()
    rows = []
    for colour, rgb in _COLOURS.items():
        for shape in _SHAPES:
            for number, split in enumerate(("train", "train", "dev", "test")):
                image = Image.new("RGB", (_SIDE, _SIDE), (200 + 10 * number,) * 3)
                draw = ImageDraw.Draw(image)
                (draw.ellipse if shape == "ball" else draw.rectangle)((8, 8, 24, 24), fill=rgb)
                name = f"{colour}_{shape}_{number}.png"
                image.save(place / "images" / name)
                rows.append((name, f"a {colour} {shape}", split))
    with (place / "captions.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("image", "caption", "split"), *rows])


def _settings(place: Path) -> dict[str, object]:
    return {
        "data": {"type": "folder", "root": str(place)},
        "text": {"min_count": 1, "max_length": 6},
        "encoder": {"type": "small_cnn", "weights": "none", "image_size": _SIDE},
        "features": {"cache": str(place / "cache")},
        "decoder": {"type": "inject", "units": 16, "embedding": {"size": 8}},
        "training": {"epochs": 3, "batch_size": 6, "learning_rate": 0.02},
        "decoding": {"type": "greedy", "max_length": 6},
        "evaluation": {"after_training": None},
    }
