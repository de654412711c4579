"""Places that cannot be written to, and disks that fill up."""

import contextlib
import resource
from collections.abc import Iterator

from mistakes import Workshop, mistake


def full_after(size: int):
    """Makes every file of this process end at ``size`` bytes: the disk is full from there on."""

    @contextlib.contextmanager
    def limit(shop: Workshop) -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))  # Python ignores the signal: writing fails
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limit


def _train(shop: Workshop, run: str, *more: str) -> list[str]:
    shop.sections["features"]["cache"] = str(shop.toy.cache)
    return ["train", "--config", shop.config(), "--run", str(shop / run), *more]


@mistake("a run directory that is a file", "run is a file", "choose another --run")
def _(shop: Workshop) -> list[str]:
    shop.write("run", "precious")
    return _train(shop, "run")


@mistake("a run directory below a file", "file/run", "cannot make", "choose another --run")
def _(shop: Workshop) -> list[str]:
    shop.write("file", "precious")
    return _train(shop, "file/run")


@mistake("a run directory that holds the config itself", "config.yaml", "choose another --run")
def _(shop: Workshop) -> list[str]:
    return _train(shop, ".")


@mistake("a smoke test whose folder is somebody's", "photos-smoke", "choose another --run")
def _(shop: Workshop) -> list[str]:
    shop.write("photos-smoke/holiday.jpg", "irreplaceable")
    return _train(shop, "photos", "--smoke")


@mistake("an encoder that learns has nothing to extract", "encoder.trainable")
def _(shop: Workshop) -> list[str]:
    return ["extract", "--config", shop.config(encoder={"trainable": True})]


@mistake("disk full while features are written", "cannot write features", "File too large", "goes on from here",
         around=full_after(4096))  # fmt: skip
def _(shop: Workshop) -> list[str]:
    return ["extract", "--config", shop.config()]


@mistake("disk full while the encoder is kept", "encoder.weights.h5", "cannot write", around=full_after(100_000))
def _(shop: Workshop) -> list[str]:
    return _train(shop, "new")


@mistake("disk full while the checkpoint is written", "model.weights.h5", "cannot write", around=full_after(2_000_000))
def _(shop: Workshop) -> list[str]:
    return _train(shop, "new", "--set", "decoder.units=400")


@mistake("disk full while the config of a run is written", "config.yaml", "cannot write", around=full_after(1000))
def _(shop: Workshop) -> list[str]:
    return _train(shop, "new")


@mistake("disk full while the report is written", "cannot write", "index.html", around=full_after(5000),
         may_change=("predictions.jsonl", "scores.json"))  # fmt: skip
def _(shop: Workshop) -> list[str]:
    return ["evaluate", str(shop.run()), "--set", f"features.cache={shop.toy.cache}"]


@mistake("disk full while a sheet is drawn", "sheet.png", "cannot write", around=full_after(4096),
         works=("red_ball.png\t",))  # fmt: skip
def _(shop: Workshop) -> list[str]:
    picture = shop.toy.data / "images" / "red_ball.png"
    return ["caption", str(shop.toy.run), str(picture), "--show", str(shop / "sheet.png")]


@mistake("disk full while scenes are drawn", "cannot write", "scenes", around=full_after(4096))
def _(shop: Workshop) -> list[str]:
    return ["extract", "--config", shop.config(data={"type": "scenes", "root": str(shop / "scenes"), "train": 2})]
