"""Caption files in unreadable or ambiguous forms, and a damaged summary of training images."""

import gzip
import json
from collections.abc import Callable
from typing import Any

import numpy as np

from capsmith.core.files import read_json
from capsmith.models.run import RunDirectory
from capsmith.models.training_domain import TrainingDomain
from tests.mistakes import Workshop, mistake
from tests.support import toy

HEADER = "image,caption,split\n"


def _rows(form: str = "{image},{caption},{split}") -> str:
    """Returns the toy's rows in a given format, with captions without commas."""
    return "".join(form.format(**{**row, "caption": row["caption"].replace(",", "")}) + "\n" for row in toy.rows())


def _file(shop: Workshop, content: str | bytes, name: str = "captions.csv") -> None:
    (shop.data() / name).write_bytes(content.encode() if isinstance(content, str) else content)


def _read(shop: Workshop, content: str | bytes, name: str = "captions.csv", **data: Any) -> list[str]:
    """Extracts from a copy of the data whose captions file has other content."""
    _file(shop, content, name)
    return ["extract", "--config", shop.config(data={"captions": name, **data})]


def _init(shop: Workshop, content: str | bytes, name: str = "captions.csv") -> list[str]:
    """Runs ``init`` on a copy of the data whose captions file has other content."""
    _file(shop, content, name)
    result = ["--captions", str(shop / "data" / name)]
    return ["init", str(shop / "data"), *result, "--out", str(shop / "new.yaml")]


def _score(shop: Workshop, content: str | bytes, name: str = "h.csv") -> list[str]:
    references = shop.write("r.csv", "image,caption\na.jpg,a dog\nb.jpg,a cat\n")
    return ["score", "--hypotheses", str(shop.write(name, content)), "--references", str(references)]


# --- the form of the table --------------------------------------------------------------------------------------------


@mistake("no header line, and none announced", "red_ball.png", "data.header")
def _(shop: Workshop) -> list[str]:
    return _read(shop, _rows())


@mistake("a header line announced as missing, and columns by name", "data.image_column")
def _(shop: Workshop) -> list[str]:
    return _read(shop, _rows(), header=False)


@mistake("a column number beyond the last", "data.header", "'9'", "caption_column")
def _(shop: Workshop) -> list[str]:
    return _read(shop, _rows(), header=False, image_column=1, caption_column=9)


@mistake("a delimiter that is none", "data.delimiter", "'colon'", "pipe")
def _(shop: Workshop) -> list[str]:
    return _read(shop, HEADER + _rows(), delimiter="colon")


@mistake("a delimiter that the file has not", "'image'", "split")
def _(shop: Workshop) -> list[str]:
    return _read(shop, HEADER + _rows(), delimiter="tab")


@mistake("a separator of captions that is empty", "data.caption_separator", "at least 1 character")
def _(shop: Workshop) -> list[str]:
    return _read(shop, HEADER + _rows(), caption_separator="")


@mistake("surplus fields that could belong to two columns", "line 2")
def _(shop: Workshop) -> list[str]:
    return _read(shop, "image,who,caption,split\n" + _rows("{image},Ann, aged 7,{caption},{split}"))


@mistake("header line with commas over rows with tabs", "comma", "tab")
def _(shop: Workshop) -> list[str]:
    return _init(shop, HEADER + _rows("{image}\t{caption}\t{split}"))


@mistake("two columns of one name", "captions.csv", "line 1", "'caption'")
def _(shop: Workshop) -> list[str]:
    return _init(shop, "image,caption,caption\n" + _rows())


@mistake("names of images alone", ", ; |")
def _(shop: Workshop) -> list[str]:
    return _init(shop, _rows("{image}"))


@mistake("captions alone", "blue_ball.png")
def _(shop: Workshop) -> list[str]:
    return _init(shop, "number,caption\n" + _rows("1,{caption}"))


@mistake("a table of names and numbers", "column")
def _(shop: Workshop) -> list[str]:
    return _init(shop, "image,size\n" + _rows("{image},"))


@mistake("a table of a comment alone", "captions.csv", "comment")
def _(shop: Workshop) -> list[str]:
    return _init(shop, "# captions will follow\n\n")


@mistake("every row with an open quote", "line 2", "line 3", "line 4", "quote")
def _(shop: Workshop) -> list[str]:
    return _read(shop, HEADER + _rows('{image},"{caption},{split}'))


@mistake("one caption in quotes to the end of the file", "line 14", "quote")
def _(shop: Workshop) -> list[str]:
    rows = _rows().splitlines()
    return _read(shop, HEADER + "\n".join([*rows[:12], 'red_ball.png,"open,train', *rows[12:]]))


# --- files that are not text or in another encoding -------------------------------------------------------------------


@mistake("UTF-16 without a mark", "UTF-8")
def _(shop: Workshop) -> list[str]:
    return _read(shop, (HEADER + _rows()).encode("utf-16-le"))


@mistake("UTF-32 cut short", "damaged")
def _(shop: Workshop) -> list[str]:
    return _read(shop, (HEADER + _rows()).encode("utf-32")[:-2])


@mistake("captions in a spreadsheet called .csv", "UTF-8")
def _(shop: Workshop) -> list[str]:
    return _init(shop, b"PK\x03\x04" + bytes(range(256)))


@mistake("captions in an old spreadsheet", "spreadsheet")
def _(shop: Workshop) -> list[str]:
    return _init(shop, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))


@mistake("compressed captions", "compressed")
def _(shop: Workshop) -> list[str]:
    return _read(shop, gzip.compress((HEADER + _rows()).encode()))


@mistake("captions in Parquet", "JSON")
def _(shop: Workshop) -> list[str]:
    return _init(shop, b"PAR1" + bytes(range(200)))


@mistake("captions in a database", "SQLite")
def _(shop: Workshop) -> list[str]:
    return _read(shop, b"SQLite format 3\0" + bytes(90))


@mistake("captions in a PDF", "PDF")
def _(shop: Workshop) -> list[str]:
    return _init(shop, b"%PDF-1.7\n" + bytes(90))


@mistake("captions to score in Windows-1252", "line 2", "1252", "UTF-8")
def _(shop: Workshop) -> list[str]:
    return _score(shop, "image,caption\na.jpg,a café\nb.jpg,x\n".encode("cp1252"))


# --- names of images --------------------------------------------------------------------------------------------------


@mistake("two folders of which one is there", "'train/red_ball.png'", "'val/red_ball.png'")
def _(shop: Workshop) -> list[str]:
    return _read(shop, HEADER + "train/red_ball.png,a ball,train\nval/red_ball.png,a box,dev\n" + _rows())


@mistake("addresses of images that are not there", "/x.org/photo_of_")
def _(shop: Workshop) -> list[str]:
    return _read(shop, HEADER + _rows("https://x.org/photo_of_{image},{caption},{split}"))


@mistake("Windows paths of other images", "C:\\\\photos\\\\holiday_red_ball.png")
def _(shop: Workshop) -> list[str]:
    return _read(shop, HEADER + _rows("C:\\\\photos\\\\holiday_{image},{caption},{split}"))


@mistake("captions of some other images", "'image'")
def _(shop: Workshop) -> list[str]:
    others = "".join(f"holiday_{n}.png,the sea,train\n" for n in range(24))
    return _init(shop, HEADER + "red_ball.png,a ball,train\n" + others)


@mistake("a token file of other images", "0 of the 24")
def _(shop: Workshop) -> list[str]:
    return _init(shop, "".join(f"holiday_{n}.jpg#0\tthe sea\n" for n in range(24)), "captions.token")


@mistake("a subset that is told to be none", "12 of 24", "data.subset")
def _(shop: Workshop) -> list[str]:
    return _read(shop, HEADER + _rows() + "".join(f"holiday_{n}.png,the sea,train\n" for n in range(12)))


@mistake("a subset of which nothing is there", "image", "/images")
def _(shop: Workshop) -> list[str]:
    return _read(shop, HEADER + _rows("holiday_{image},{caption},{split}"), subset=True)


@mistake("a subset that is no yes or no", "data.subset", "boolean")
def _(shop: Workshop) -> list[str]:
    return _read(shop, HEADER + _rows(), subset="some")


# --- captions to score ------------------------------------------------------------------------------------------------


@mistake("an open quote in captions to score", "h.csv", "line 2", "quote")
def _(shop: Workshop) -> list[str]:
    return _score(shop, 'image,caption\na.jpg,"a dog\nb.jpg,a cat\n')


@mistake("surplus fields in captions to score, of ids without endings", "h.csv", "line 3", "quote")
def _(shop: Workshop) -> list[str]:
    return _score(shop, "image,caption\n1,a dog\n2,a cat, asleep\n")


@mistake("captions to score that are no text", "h.txt")
def _(shop: Workshop) -> list[str]:
    return _score(shop, bytes(500), "h.txt")


# --- a run's summary of its training images ---------------------------------------------------------------------------


class _Still:
    """Random features."""

    def __init__(self, channels: int) -> None:
        self.channels = channels

    def features(self, ids: Any) -> np.ndarray:
        """Returns features (N, D)."""
        return np.random.default_rng(len(ids)).normal(size=(len(ids), self.channels)).astype(np.float32)


def _domain(shop: Workshop, change: Callable[[dict[str, np.ndarray]], Any], more: int = 0) -> list[str]:
    """Captions with a run whose summary of the training images was changed."""
    run = shop.run()
    channels = read_json(run / "captioner.json")["feature_shape"][-1] + more
    domain = TrainingDomain.of(_Still(channels), ["x"] * 60, ["y"] * 20)
    assert domain is not None
    domain.save(RunDirectory(run).domain)
    with np.load(RunDirectory(run).domain) as saved:
        arrays = {name: saved[name] for name in saved.files}
    content = change(arrays)
    if isinstance(content, bytes):
        RunDirectory(run).domain.write_bytes(content)
    else:
        np.savez(RunDirectory(run).domain, **arrays)
    return ["caption", str(run), str(shop.toy.data / "images" / "red_ball.png")]


DAMAGED: dict[str, tuple[Callable[[dict[str, np.ndarray]], Any], str]] = {
    "that is cut short": (lambda arrays: b"PK\x03\x04", "damaged"),
    "that is text": (lambda arrays: json.dumps([1, 2]).encode(), "damaged"),
    "without a threshold": (lambda arrays: arrays.pop("threshold"), "'threshold'"),
    "with arrays of somebody's": (lambda arrays: arrays.update(mine=np.ones(3)), "'mine'"),
    "with NaN": (lambda arrays: arrays["mean"].__setitem__(0, np.nan), "mean"),
    "with text for numbers": (lambda arrays: arrays.update(rest=np.array(["a", "b"])), "rest"),
    "with pickled objects": (lambda arrays: arrays.update(rest=np.array([{}], object)), "damaged"),
    "without an image": (lambda arrays: arrays.update(vectors=arrays["vectors"][:0]), "arrays"),
    "with a negative threshold": (lambda arrays: arrays.update(threshold=np.float64(-2)), "threshold"),
}


def _enter(name: str, change: Callable[[dict[str, np.ndarray]], Any], says: str) -> None:
    @mistake(f"a summary of training images {name}", "domain.npz", says)
    def _(shop: Workshop) -> list[str]:
        return _domain(shop, change)


for _name, (_change, _says) in DAMAGED.items():
    _enter(_name, _change, _says)


@mistake("a summary of training images of another encoder", "channels")
def _(shop: Workshop) -> list[str]:
    return _domain(shop, lambda arrays: None, more=3)


@mistake("a summary of training images that is a folder", "domain.npz")
def _(shop: Workshop) -> list[str]:
    RunDirectory(shop.run()).domain.mkdir()
    return ["caption", str(shop / "run"), str(shop.toy.data / "images" / "red_ball.png")]
