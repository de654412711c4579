"""``capsmith index`` and ``search``: indexes of other models, damaged or malicious ones, and wrong arguments."""

import contextlib
import shutil
from pathlib import Path
from unittest import mock

from tests.deploy.search.damage import DAMAGES, edit_json
from tests.mistakes import Workshop, mistake
from tests.support.toy_embedder import ToyEmbedder

FILES = ("images.sqlite", "images.sqlite-wal", "images.sqlite-shm", "index.lock")
"""Files that opening an index may create or touch."""


@contextlib.contextmanager
def _toy(shop: Workshop):
    with (
        mock.patch("capsmith.models.embedders.load_embedder", lambda models=None, engine=None: ToyEmbedder()),
        mock.patch("capsmith.cli.keras_import.load_keras", lambda: None),
    ):
        yield


def _index(shop: Workshop, **more: object) -> Path:
    """Indexes a copy of the toy images; returns the index, which stands in their folder."""
    from capsmith.deploy.search import build_index

    photos = Path(shutil.copytree(shop.toy.data / "images", shop / "album"))
    build_index(photos, photos / "my.index", ToyEmbedder(), runs=[shop.toy.run], **more)
    return photos / "my.index"


def _search(name: str, *says: str, query: tuple[str, ...] = ("--text", "red"), **more: object):
    return mistake(name, *says, around=_toy, may_change=FILES, **more)


def _damaged(kind: str, *says: str) -> None:
    @_search(f"search: {kind}", *says)
    def _(shop: Workshop) -> list[str]:
        index = _index(shop)
        DAMAGES[kind](index)
        return ["search", str(index), "--text", "red", "--top", "99"]


_damaged("no index.json", "my.index")
_damaged("vectors of absurd size", "index.json", "1000000000000")
_damaged("an index.json of a newer version", "99", "update capsmith")
_damaged("a linked index.json", "index.json")
_damaged("a pipe as index.json", "index.json")
_damaged("half a database", "images.sqlite")
_damaged("a database of noise", "images.sqlite")
_damaged("the database of another program", "images.sqlite")
_damaged("a linked database", "images.sqlite")
_damaged("a trigger", "images.sqlite")
_damaged("a view", "images.sqlite")
_damaged("a huge caption", "images.sqlite")
_damaged("a name with a way out", "etc/passwd")
_damaged("absurdly many rows", "semantic-0.f16")
_damaged("truncated vectors", "semantic-0.f16")
_damaged("a changed byte", "semantic-0.f16")
_damaged("linked vectors", "visual-0.f16")
_damaged("a pipe as vectors", "semantic-0.f16")
_damaged("vectors that are no numbers", "my.index")


OTHER_MODEL = edit_json(fingerprint="another", model="runs/other")


@_search("search: an index of another model", "runs/other", "toy")
def _(shop: Workshop) -> list[str]:
    index = _index(shop)
    OTHER_MODEL(index)
    return ["search", str(index), "--text", "red"]


@_search("index: an index of another model", "runs/other", "--out")
def _(shop: Workshop) -> list[str]:
    index = _index(shop)
    OTHER_MODEL(index)
    return ["index", str(shop.toy.run), str(index.parent), "--out", str(index)]


@_search("index: an index of other images", "album", "--out")
def _(shop: Workshop) -> list[str]:
    index = _index(shop)
    return ["index", str(shop.toy.run), str(shop.toy.data / "images"), "--out", str(index)]


@_search("index: a folder that does not exist", "nowhere", "no such folder")
def _(shop: Workshop) -> list[str]:
    return ["index", str(shop.toy.run), str(shop / "nowhere"), "--out", str(shop / "new.index")]


@_search("index: an image in place of a folder", "red_ball.png", "not a folder")
def _(shop: Workshop) -> list[str]:
    image = shop.toy.data / "images" / "red_ball.png"
    return ["index", str(shop.toy.run), str(image), "--out", str(shop / "new.index")]


@_search("search: a folder of images", "album", "capsmith index")
def _(shop: Workshop) -> list[str]:
    return ["search", str(_index(shop).parent), "--text", "red"]


@_search("search: no such index", "nowhere.index")
def _(shop: Workshop) -> list[str]:
    return ["search", str(shop / "nowhere.index"), "--text", "red"]


@_search("search: a model that is gone", "gone", "--model")
def _(shop: Workshop) -> list[str]:
    index = _index(shop)
    edit_json(runs=[str(shop / "gone")])(index)
    return ["search", str(index), "--text", "red"]


@_search("search: a phrase of unknown words", "purple hat")
def _(shop: Workshop) -> list[str]:
    return ["search", str(_index(shop)), "--text", "purple hat"]


@_search("search: a phrase without words", "?!")
def _(shop: Workshop) -> list[str]:
    return ["search", str(_index(shop)), "--text", "?!"]


@_search("search: words in an index without captions", "--captions")
def _(shop: Workshop) -> list[str]:
    return ["search", str(_index(shop)), "--words", "red"]


@_search("search: like an image that is not there", "nobody.png")
def _(shop: Workshop) -> list[str]:
    return ["search", str(_index(shop)), "--like", "nobody.png"]


@_search("search: an image that is text", "note.png")
def _(shop: Workshop) -> list[str]:
    return ["search", str(_index(shop)), "--image", str(shop.write("note.png", "x"))]


@_search("search: a sheet over the image of the query", "red_ball.png", "--show")
def _(shop: Workshop) -> list[str]:
    image = _index(shop).parent / "red_ball.png"
    return ["search", str(image.parent / "my.index"), "--image", str(image), "--show", str(image)]


@_search("search: --top 0", "--top 0")
def _(shop: Workshop) -> list[str]:
    return ["search", str(_index(shop)), "--text", "red", "--top", "0"]


@_search("search: a threshold that is no number", "--threshold nan")
def _(shop: Workshop) -> list[str]:
    return ["search", str(_index(shop)), "--text", "red", "--threshold", "nan"]


@_search("search: --by for a phrase", "--by")
def _(shop: Workshop) -> list[str]:
    return ["search", str(_index(shop)), "--text", "red", "--by", "both"]


@_search("index: a model and an engine", "--engine")
def _(shop: Workshop) -> list[str]:
    return ["index", str(shop.toy.run), "album", "--engine", "clip:x", "--out", str(shop / "new.index")]


def _engines(shop: Workshop, *names: str, folder: str | None = None) -> list[str]:
    images, options = folder or str(shop.toy.data / "images"), [word for name in names for word in ("--engine", name)]
    return ["index", str(shop.toy.run), images, *options, "--out", str(shop / "new.index")]


@_search("index: an unknown engine", "rya", "--engine")
def _(shop: Workshop) -> list[str]:
    return _engines(shop, "rya")


@_search("index: two engines", "local", "ray")
def _(shop: Workshop) -> list[str]:
    return _engines(shop, "ray", "local")


@_search("index: a sharded job of a model and an engine", "clip:x")
def _(shop: Workshop) -> list[str]:
    return _engines(shop, "local", "clip:x")


@_search("index: a remote folder", "s3://bucket/photos", "local")
def _(shop: Workshop) -> list[str]:
    return _engines(shop, "local", folder="s3://bucket/photos")


@_search("index: a sharded job of --workers 0", "--workers 0")
def _(shop: Workshop) -> list[str]:
    return [*_engines(shop, "ray"), "--workers", "0"]


@_search("index: no model", "RUN")
def _(shop: Workshop) -> list[str]:
    return ["index", "album", "--out", str(shop / "new.index")]


@_search("index: --workers 0", "--workers 0")
def _(shop: Workshop) -> list[str]:
    return ["index", str(shop.toy.run), "album", "--workers", "0", "--out", str(shop / "new.index")]


@_search("index: into the folder of the images", "album", "--out")
def _(shop: Workshop) -> list[str]:
    photos = shutil.copytree(shop.toy.data / "images", shop / "album")
    return ["index", str(shop.toy.run), str(photos), "--out", str(photos)]


@_search("index: into a file", "note.txt", "it is a file")
def _(shop: Workshop) -> list[str]:
    shop.write("note.txt", "x")
    return ["index", str(shop.toy.run), str(shop.toy.data / "images"), "--out", str(shop / "note.txt")]


@_search("index: a captioner that is none", "nothing")
def _(shop: Workshop) -> list[str]:
    more = ["--out", str(shop / "new.index"), "--captions", str(shop / "nothing")]
    return ["index", str(shop.toy.run), str(shop.toy.data / "images"), *more]


@_search("index: a folder without images", "empty")
def _(shop: Workshop) -> list[str]:
    (shop / "empty").mkdir()
    return ["index", str(shop.toy.run), str(shop / "empty"), "--out", str(shop / "new.index")]
