"""Outputs that would overwrite other files or inputs, empty paths, and files without read permission."""

import contextlib
import ctypes
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from tests.mistakes import Workshop, mistake

READ, FOREIGN, DENIED = "input", "capsmith did not write it", "Permission denied"
_DAC_OVERRIDE, _DAC_READ_SEARCH = 1, 2


class _Capabilities(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable")]


@contextlib.contextmanager
def without_privileges() -> Iterator[None]:
    """Makes file modes apply to this thread, even if it runs as root."""
    if os.geteuid():
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header, held = (ctypes.c_uint32 * 2)(0x20080522, 0), (_Capabilities * 2)()
    if libc.capget(header, held):
        raise OSError(ctypes.get_errno(), "capget")
    kept = held[0].effective
    held[0].effective = kept & ~(1 << _DAC_OVERRIDE | 1 << _DAC_READ_SEARCH)
    if libc.capset(header, held):
        raise OSError(ctypes.get_errno(), "capset")
    try:
        yield
    finally:
        held[0].effective = kept
        libc.capset(header, held)


def mode(bits: int, *names: str):
    """Sets the mode of files or folders of the workshop so that it applies to root too."""

    @contextlib.contextmanager
    def limit(shop: Workshop) -> Iterator[None]:
        before = {shop / name: (shop / name).stat().st_mode for name in names}
        for path in before:
            path.chmod(bits)
        try:
            with without_privileges():
                yield
        finally:
            for path, was in before.items():
                path.chmod(was)

    return limit


def _image(shop: Workshop, name: str = "mine.png") -> Path:
    return Path(shutil.copy(shop.toy.data / "images" / "red_ball.png", shop / name))


def _caption(shop: Workshop, *options: object) -> list[str]:
    return ["caption", str(shop.toy.run), str(_image(shop)), *map(str, options)]


def _evaluate(shop: Workshop, *options: object) -> list[str]:
    return ["evaluate", str(shop.toy.run), "--set", f"features.cache={shop.toy.cache}", *map(str, options)]


def _train(shop: Workshop, run: str, *options: str) -> list[str]:
    shop.sections["features"]["cache"] = str(shop.toy.cache)
    return ["train", "--config", shop.config(), "--run", str(shop / run) if run else "", *options]


# --- caption ----------------------------------------------------------------------------------------------------------


@mistake("a sheet over the image that it shows", "mine.png", READ, "--show")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "--show", shop / "mine.png")


@mistake("a sheet over the image that it shows, by another name", "again.png", READ)
def _(shop: Workshop) -> list[str]:
    arguments = _caption(shop, "--show", shop / "again.png")
    os.link(shop / "mine.png", shop / "again.png")
    return arguments


@mistake("a sheet over an image of somebody", "holiday.png", FOREIGN, "--show")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "--show", _image(shop, "holiday.png"))


@mistake("a sheet over a text", "notes.png", FOREIGN)
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "--show", shop.write("notes.png", "irreplaceable"))


@mistake("a sheet over a BMP, in which no mark can be found", "sheet.bmp", FOREIGN)
def _(shop: Workshop) -> list[str]:
    Image.new("RGB", (4, 4)).save(shop / "sheet.bmp")
    return _caption(shop, "--show", shop / "sheet.bmp")


@mistake("a sheet over the course of a training", "history.png", FOREIGN)
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "--show", shop.run() / "history.png")


@mistake("a sheet over a folder", "album.png")
def _(shop: Workshop) -> list[str]:
    shop.write("album.png/holiday.jpg", "irreplaceable")
    return _caption(shop, "--show", shop / "album.png")


@mistake("a sheet over a link to nothing", "link.png")
def _(shop: Workshop) -> list[str]:
    (shop / "link.png").symlink_to(shop / "not yet there.png")
    return _caption(shop, "--show", shop / "link.png")


@mistake("a sheet over a pipe", "pipe.png")
def _(shop: Workshop) -> list[str]:
    os.mkfifo(shop / "pipe.png")
    return _caption(shop, "--show", shop / "pipe.png")


@mistake("one file for both sheets", "--show", "--attention", "both.png")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "--show", shop / "both.png", "--attention", shop / "." / "both.png")


@mistake("a sheet of attention over an image of somebody", "holiday.png", FOREIGN, "--attention")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "--attention", _image(shop, "holiday.png"))


# --- evaluate, inspect ------------------------------------------------------------------------------------------------


@mistake("a report over somebody's page", "index.html", FOREIGN, "--out")
def _(shop: Workshop) -> list[str]:
    shop.write("site/index.html", "<h1>mine</h1>")
    return _evaluate(shop, "--out", shop / "site")


@mistake("a report over somebody's predictions", "predictions.jsonl", FOREIGN)
def _(shop: Workshop) -> list[str]:
    shop.write("site/predictions.jsonl", json.dumps({"image": "a.png", "prediction": "a ball"}) + "\n")
    return _evaluate(shop, "--out", shop / "site")


@mistake("a report over somebody's scores", "scores.json", FOREIGN)
def _(shop: Workshop) -> list[str]:
    shop.write("site/scores.json", "[1, 2, 3]")
    return _evaluate(shop, "--out", shop / "site")


@mistake("a report over somebody's images", "images", FOREIGN)
def _(shop: Workshop) -> list[str]:
    shop.write("site/images/0123456789abcdef.jpg", "irreplaceable")
    return _evaluate(shop, "--out", shop / "site")


@mistake("a report where a file is", "--out")
def _(shop: Workshop) -> list[str]:
    return _evaluate(shop, "--out", shop.write("site", "irreplaceable"))


@mistake("a dev report over somebody's page", "dev/index.html", FOREIGN)
def _(shop: Workshop) -> list[str]:
    shop.write("site/dev/index.html", "<h1>mine</h1>")
    return _evaluate(shop, "--split", "dev", "--out", shop / "site")


@mistake("a report over the captions that it reads", "predictions.jsonl", READ)
def _(shop: Workshop) -> list[str]:
    lines = [{"image": "red_ball.png", "caption": "a ball", "log_probability": -1.0}]
    shop.data()
    shop.write("data/predictions.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    data = [f"data.root={shop / 'data'}", "data.captions=predictions.jsonl"]
    return _evaluate(shop, *(part for change in data for part in ("--set", change)), "--out", shop / "data")


@mistake("a run in whose report somebody has put a page", "report/index.html", FOREIGN)
def _(shop: Workshop) -> list[str]:
    (shop.run() / "report" / "index.html").write_text("<h1>mine</h1>")
    return ["evaluate", str(shop / "run"), "--set", f"features.cache={shop.toy.cache}"]


@mistake("a page about data beside the images of the data", "images", FOREIGN, "--out")
def _(shop: Workshop) -> list[str]:
    shop.data()
    return ["inspect", "--config", shop.config(), "--out", str(shop / "data")]


@mistake("a page about data through a link to nothing", "index.html")
def _(shop: Workshop) -> list[str]:
    (shop / "site").mkdir()
    (shop / "site" / "index.html").symlink_to(shop / "gone.html")
    return ["inspect", "--config", shop.config(), "--out", str(shop / "site")]


# --- train, extract, init ---------------------------------------------------------------------------------------------


@mistake("a training whose report would go over somebody's page", "report/index.html", FOREIGN)
def _(shop: Workshop) -> list[str]:
    shop.write("new/report/index.html", "<h1>mine</h1>")
    return _train(shop, "new")


@mistake("a training into a folder with somebody's table", "history.csv", "--run")
def _(shop: Workshop) -> list[str]:
    shop.write("work/history.csv", "year,event\n1969,moon\n")
    return _train(shop, "work")


@mistake("a smoke test beside a living one", "photos-smoke")
def _(shop: Workshop) -> list[str]:
    run = shop.run("photos-smoke")
    held = (run / ".lock").open("a")  # held until the case ends
    fcntl.flock(held, fcntl.LOCK_EX)
    _HELD.append(held)
    return _train(shop, "photos", "--smoke")


_HELD: list[object] = []


@mistake("a smoke test whose folder is a link to a run", "--run")
def _(shop: Workshop) -> list[str]:
    (shop / "photos-smoke").symlink_to(shop.run())
    return _train(shop, "photos", "--smoke")


@mistake("a smoke test whose folder holds somebody's config.yaml", "--run")
def _(shop: Workshop) -> list[str]:
    shop.write("photos-smoke/config.yaml", "services: {}\n")
    shop.write("photos-smoke/holiday.jpg", "irreplaceable")
    return _train(shop, "photos", "--smoke")


@mistake("features into a folder with somebody's array", "features.npy", "features.store")
def _(shop: Workshop) -> list[str]:
    (shop / "mine").mkdir()
    np.save(shop / "mine" / "features.npy", np.arange(6))
    return ["extract", "--config", shop.config(features={"store": str(shop / "mine")})]


@mistake("features into the folder of an app with a manifest", "manifest.json")
def _(shop: Workshop) -> list[str]:
    shop.write("app/manifest.json", json.dumps({"name": "my app", "start_url": "/"}))
    return ["extract", "--config", shop.config(features={"store": str(shop / "app")})]


@mistake("a config by force over YAML of something else", "compose.yaml", FOREIGN, "--out")
def _(shop: Workshop) -> list[str]:
    shop.write("compose.yaml", yaml.safe_dump({"services": {"web": {"image": "nginx"}}}))
    return ["init", str(shop.data()), "--out", str(shop / "compose.yaml"), "--force"]


# --- empty paths ------------------------------------------------------------------------------------------------------


def _inside(shop: Workshop) -> contextlib.AbstractContextManager[None]:
    """Changes to the folder of the case, which an empty path would refer to."""
    return contextlib.chdir(shop.folder)


@mistake("an empty run directory", "--run", "empty", around=_inside)
def _(shop: Workshop) -> list[str]:
    return _train(shop, "")


@mistake("an empty run directory behind an equals sign", "--run", "empty", around=_inside)
def _(shop: Workshop) -> list[str]:
    return ["train", "--config", shop.config(), "--run="]


@mistake("an empty image", "empty", around=_inside)
def _(shop: Workshop) -> list[str]:
    return ["caption", str(shop.toy.run), ""]


@mistake("an empty root of the data", "data.root", "empty", around=_inside)
def _(shop: Workshop) -> list[str]:
    return ["extract", "--config", shop.config(data={"root": ""})]


@mistake("an empty cache, set on the command line", "features.cache", "empty", around=_inside)
def _(shop: Workshop) -> list[str]:
    return ["extract", "--config", shop.config(), "--set", "features.cache=''"]


@mistake("an empty run to begin with", "training.resume_weights_from", "empty", around=_inside)
def _(shop: Workshop) -> list[str]:
    return ["validate", "--config", shop.config(training={"resume_weights_from": ""})]


# --- files that may not be read ---------------------------------------------------------------------------------------


@mistake("weights that may not be read", "model.weights.h5", DENIED, around=mode(0, "run/model.weights.h5"))
def _(shop: Workshop) -> list[str]:
    return ["caption", str(shop.run()), str(_image(shop))]


@mistake("an encoder that may not be read", "encoder.weights.h5", DENIED, around=mode(0, "run/encoder.weights.h5"))
def _(shop: Workshop) -> list[str]:
    return ["caption", str(shop.run()), str(_image(shop))]


@mistake("a run directory that may not be searched", "run", DENIED, around=mode(0, "run"))
def _(shop: Workshop) -> list[str]:
    return ["caption", str(shop.run()), str(_image(shop))]


@mistake("a folder of images that may not be listed", "images", DENIED, around=mode(0, "data/images"))
def _(shop: Workshop) -> list[str]:
    shop.data()
    return ["extract", "--config", shop.config()]


@mistake("a folder of images that may be listed and not searched", DENIED, around=mode(0o444, "data/images"))
def _(shop: Workshop) -> list[str]:
    shop.data()
    return ["extract", "--config", shop.config()]


@mistake("an image that may not be read", "mine.png", DENIED, around=mode(0, "mine.png"))
def _(shop: Workshop) -> list[str]:
    return _caption(shop)


@mistake("captions that may not be read", "captions.csv", DENIED, around=mode(0, "data/captions.csv"))
def _(shop: Workshop) -> list[str]:
    shop.data()
    return ["extract", "--config", shop.config()]


@mistake("features that may not be read", "features.pkl", DENIED, around=mode(0, "store/features.pkl"))
def _(shop: Workshop) -> list[str]:
    shop.store()
    return ["evaluate", str(shop.toy.run), "--set", f"features.store={shop / 'store'}", "--out", str(shop / "out")]


@mistake("a page that may not be read, where a report is to go", "index.html", DENIED, around=mode(0, "o/index.html"))
def _(shop: Workshop) -> list[str]:
    shop.write("o/index.html", "<h1>mine</h1>")
    return _evaluate(shop, "--out", shop / "o")


@mistake("a state that may not be read", "state.npz", DENIED, around=mode(0, "run/state.npz"))
def _(shop: Workshop) -> list[str]:
    config = str(shop.run() / "config.yaml")
    return ["train", "--config", config, "--run", str(shop / "run"), "--resume", "--set", "training.epochs=1"]


@mistake("a folder for a sheet that may not be written", "sheet.png", DENIED, around=mode(0o555, "album"),
         works=("mine.png\t",))  # fmt: skip
def _(shop: Workshop) -> list[str]:
    (shop / "album").mkdir()
    return _caption(shop, "--show", shop / "album" / "sheet.png")
