"""Places that cannot be written to, and disks that fill up."""

import contextlib
import errno
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.mistakes import Workshop, mistake


def full_after(size: int):
    """Limits every file of this process to ``size`` bytes, as on a full disk."""

    @contextlib.contextmanager
    def limit(shop: Workshop) -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))  # Python ignores the signal: writing fails
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limit


_READ_ONLY: list[Path] = []
_CHANGING = {"os.mkdir": 1, "os.rename": 2, "os.remove": 1, "os.rmdir": 1, "os.truncate": 1, "os.link": 2}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_hooked: list[bool] = []


def _watch(event: str, args: tuple[Any, ...]) -> None:
    """Audit hook: changes below a read-only folder fail as they do on a read-only disk."""
    if not _READ_ONLY or not (event in _CHANGING or event == "open"):
        return
    named = args[: _CHANGING.get(event, 1)] if event != "open" or args[2] & _WRITING else ()
    for name in named:
        if not isinstance(name, str | bytes | os.PathLike):
            continue
        place = Path(os.path.abspath(os.fsdecode(name)))
        if any(place.is_relative_to(folder) for folder in _READ_ONLY):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(place))


def read_only(*names: str):
    """Makes folders of the workshop and their content read-only, also for root, to whom ``chmod`` does not apply."""

    @contextlib.contextmanager
    def limit(shop: Workshop) -> Iterator[None]:
        if not _hooked:
            sys.addaudithook(_watch)  # until the process ends
            _hooked.append(True)
        _READ_ONLY.extend(shop / name for name in names)
        try:
            yield
        finally:
            _READ_ONLY.clear()

    return limit


def _train(shop: Workshop, run: str, *more: str) -> list[str]:
    shop.sections["features"]["cache"] = str(shop.toy.cache)
    return ["train", "--config", shop.config(), "--run", str(shop / run), *more]


@mistake("a run directory that is a file", "--run")
def _(shop: Workshop) -> list[str]:
    shop.write("run", "precious")
    return _train(shop, "run")


@mistake("a run directory below a file", "file/run", "--run")
def _(shop: Workshop) -> list[str]:
    shop.write("file", "precious")
    return _train(shop, "file/run")


@mistake("a run directory that holds the config itself", "config.yaml", "--run")
def _(shop: Workshop) -> list[str]:
    return _train(shop, ".")


@mistake("a smoke test whose folder is somebody's", "photos-smoke", "--run")
def _(shop: Workshop) -> list[str]:
    shop.write("photos-smoke/holiday.jpg", "irreplaceable")
    return _train(shop, "photos", "--smoke")


@mistake("an encoder that learns has nothing to extract", "encoder.trainable")
def _(shop: Workshop) -> list[str]:
    return ["extract", "--config", shop.config(encoder={"trainable": True})]


@mistake("disk full while features are written", "File too large", around=full_after(4096))
def _(shop: Workshop) -> list[str]:
    return ["extract", "--config", shop.config()]


@mistake("disk full while the encoder is kept", "encoder.weights.h5", around=full_after(100_000))
def _(shop: Workshop) -> list[str]:
    return _train(shop, "new")


@mistake("disk full while the checkpoint is written", "model.weights.h5", around=full_after(2_000_000))
def _(shop: Workshop) -> list[str]:
    return _train(shop, "new", "--set", "decoder.units=400")


@mistake("disk full while the config of a run is written", "config.yaml", around=full_after(1000))
def _(shop: Workshop) -> list[str]:
    return _train(shop, "new")


@mistake(
    "disk full while the report is written",
    "index.html",
    around=full_after(5000),
    may_change=("predictions.jsonl", "scores.json", "test_readings.jsonl"),
)
def _(shop: Workshop) -> list[str]:
    return ["evaluate", str(shop.run()), "--set", f"features.cache={shop.toy.cache}"]


@mistake("disk full while a sheet is drawn", "sheet.png", around=full_after(4096), works=("red_ball.png\t",))
def _(shop: Workshop) -> list[str]:
    image = shop.toy.data / "images" / "red_ball.png"
    return ["caption", str(shop.toy.run), str(image), "--show", str(shop / "sheet.png")]


@mistake("disk full while scenes are drawn", "scenes", around=full_after(4096))
def _(shop: Workshop) -> list[str]:
    return ["extract", "--config", shop.config(data={"type": "scenes", "root": str(shop / "scenes"), "train": 2})]


READINGS = "test_readings.jsonl"
READ_ONLY = "Read-only file system"


@mistake("a run directory to be made in a read-only folder", "ro/run", READ_ONLY, around=read_only("ro"))
def _(shop: Workshop) -> list[str]:
    (shop / "ro").mkdir()
    return _train(shop, "ro/run")


@mistake("a run directory that is there, empty and read-only", "run", READ_ONLY, around=read_only("run"))
def _(shop: Workshop) -> list[str]:
    (shop / "run").mkdir()
    return _train(shop, "run")


@mistake("a training that is to go on in a read-only run", "run", READ_ONLY, around=read_only("run"))
def _(shop: Workshop) -> list[str]:
    config = str(shop.run() / "config.yaml")
    return ["train", "--config", config, "--run", str(shop / "run"), "--resume", "--set", "training.epochs=1"]


@mistake("a training whose cache is read-only", READ_ONLY, around=read_only("ro"))
def _(shop: Workshop) -> list[str]:
    (shop / "ro").mkdir()
    config = shop.config(features={"cache": str(shop / "ro" / "cache")})
    return ["train", "--config", config, "--run", str(shop / "run")]


@mistake("features to be made in a read-only cache", READ_ONLY, around=read_only("cache"))
def _(shop: Workshop) -> list[str]:
    (shop / "cache").mkdir()
    return ["extract", "--config", shop.config()]


@mistake("features to be added to a read-only store", "store", READ_ONLY, around=read_only("store"))
def _(shop: Workshop) -> list[str]:
    shop.store()
    image = shop.data() / "images" / "red_ball.png"
    image.write_bytes(image.read_bytes() + b"changed")
    return ["extract", "--config", shop.config()]


@mistake("an adapted encoder for a read-only folder", "ro", READ_ONLY, around=read_only("ro"))
def _(shop: Workshop) -> list[str]:
    (shop / "ro").mkdir()
    adapt = {"output": str(shop / "ro" / "adapted"), "min_images": 1, "epochs": 1, "batch_size": 2}
    encoder = {"type": "mobilenet_v2", "weights": "none", "image_size": 32, "pretrain_on_words": adapt}
    return ["train", "--config", shop.config(encoder=encoder), "--run", str(shop / "run")]


@mistake("the report of a read-only run", "report", READ_ONLY, around=read_only("run"))
def _(shop: Workshop) -> list[str]:
    return ["evaluate", str(shop.run()), "--set", f"features.cache={shop.toy.cache}"]


@mistake(
    "a report for a read-only folder", "ro", READ_ONLY, around=read_only("ro"), may_change=("test_readings.jsonl",)
)
def _(shop: Workshop) -> list[str]:
    (shop / "ro").mkdir()
    return [
        "evaluate",
        str(shop.toy.run),
        "--set",
        f"features.cache={shop.toy.cache}",
        "--out",
        str(shop / "ro" / "out"),
    ]


@mistake("a sheet for a read-only folder", "sheet.png", READ_ONLY, around=read_only("ro"), works=("red_ball.png\t",))
def _(shop: Workshop) -> list[str]:
    (shop / "ro").mkdir()
    image = shop.toy.data / "images" / "red_ball.png"
    return ["caption", str(shop.toy.run), str(image), "--show", str(shop / "ro" / "sheet.png")]


@mistake("scenes for a read-only folder", "ro", READ_ONLY, around=read_only("ro"))
def _(shop: Workshop) -> list[str]:
    (shop / "ro").mkdir()
    return ["extract", "--config", shop.config(data={"type": "scenes", "root": str(shop / "ro" / "s"), "train": 2})]
