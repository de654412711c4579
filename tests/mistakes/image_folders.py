"""Folders passed to ``capsmith caption`` and ``init``: other files among the images, and unreadable files."""

import contextlib
import os
import shutil
import sys
from pathlib import Path
from unittest import mock

from tests.mistakes import Workshop, mistake
from tests.mistakes.images import fifo
from tests.support import toy
from tests.support.image_bytes import box


def _folder(shop: Workshop) -> Path:
    """Creates a folder of two valid images."""
    folder = shop / "album"
    folder.mkdir()
    for name in ("red_ball.png", "blue_box.png"):
        shutil.copy(shop.toy.data / "images" / name, folder / name)
    return folder


@mistake("an empty folder named .jpg", "album.jpg")
def _(shop: Workshop) -> list[str]:
    (shop / "album.jpg").mkdir()
    return ["caption", str(shop.toy.run), str(shop / "album.jpg")]


@mistake("a folder of what a Mac leaves behind", "album")
def _(shop: Workshop) -> list[str]:
    shop.write("album/._photo.jpg", b"\0\5\x16\7")
    shop.write("album/.DS_Store", b"\0")
    return ["caption", str(shop.toy.run), str(shop / "album")]


@mistake("a folder of texts", "a.txt")
def _(shop: Workshop) -> list[str]:
    for name in ("a.txt", "deep/b.csv", "deep/er/c"):
        shop.write(f"album/{name}", "x")
    return ["caption", str(shop.toy.run), str(shop / "album")]


@mistake("a folder that links to itself and holds nothing else", "images")
def _(shop: Workshop) -> list[str]:
    (shop / "album").mkdir()
    (shop / "album" / "again").symlink_to(shop / "album")
    return ["caption", str(shop.toy.run), str(shop / "album")]


@mistake("a pipe among good images", "c.jpg", "pipe", works=("red_ball.png\t", "blue_box.png\t"))
def _(shop: Workshop) -> list[str]:
    folder = _folder(shop)
    fifo(folder / "deep" / "c.jpg")
    return ["caption", str(shop.toy.run), str(folder)]


@mistake("a link to a file that is gone, among good images", "gone.jpg", "No such file", works=("red_ball.png\t",))
def _(shop: Workshop) -> list[str]:
    folder = _folder(shop)
    (folder / "gone.jpg").symlink_to("nowhere.jpg")
    return ["caption", str(shop.toy.run), str(folder)]


@contextlib.contextmanager
def _closed(shop: Workshop):
    real = os.scandir

    def scandir(path="."):
        if str(path).endswith("private"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    with mock.patch("os.scandir", scandir):  # root, who may run the tests, can read every folder
        yield


@mistake(
    "a folder that may not be read, among good images",
    "private",
    around=_closed,
    works=("red_ball.png\t", "blue_box.png\t"),
)
def _(shop: Workshop) -> list[str]:
    folder = _folder(shop)
    shutil.copytree(folder, folder / "private")
    return ["caption", str(shop.toy.run), str(folder)]


@mistake("one folder of images and one without", "empty", works=("red_ball.png\t",))
def _(shop: Workshop) -> list[str]:
    (shop / "empty").mkdir()
    return ["caption", str(shop.toy.run), str(shop / "empty"), str(_folder(shop))]


@mistake("text named .png between good images and notes", "b.png", works=("blue_box.png\t",))
def _(shop: Workshop) -> list[str]:
    folder = _folder(shop)
    shop.write("album/b.png", "buy milk")
    shop.write("album/notes.txt", "x")
    return ["caption", str(shop.toy.run), str(folder)]


@mistake(
    "a data set of HEIC images without pillow-heif",
    "'capsmith[heic]'",
    around=lambda shop: mock.patch.dict(sys.modules, {"pillow_heif": None}),
)
def _(shop: Workshop) -> list[str]:
    data = shop.data()
    for path in sorted((data / "images").iterdir()):
        path.with_suffix(".heic").write_bytes(box(b"ftyp", b"heic\0\0\0\0mif1heic") + bytes(99))
        path.unlink()
    rows = [{**row, "image": Path(row["image"]).stem + ".heic"} for row in toy.rows()]
    toy.write_captions(data / "captions.csv", rows)
    return ["init", str(data), "--out", str(shop / "mine.yaml")]
