"""Folders that ``capsmith caption --write`` captions, and places for the results."""

import json
import os

from tests.mistakes import Workshop, mistake
from tests.mistakes.broken_images import jpeg
from tests.mistakes.writing import full_after, read_only

JOURNAL = ".captions.journal"
HEAD = {"journal": 1, "root": ".", "model": "of another run", "settings": {}, "overwrite": False}


def _caption(shop: Workshop, *options: str, write: str | None = "txt", images: int = 2) -> list[str]:
    """Makes a folder of images; returns the command that captions it."""
    for number in range(images):
        shop.write(f"photos/{number}.jpg", jpeg(60 + number))
    return ["caption", str(shop.toy.run), str(shop / "photos"), *(["--write", write] if write else []), *options]


def _journal(shop: Workshop, *lines: object) -> None:
    shop.write(f"photos/{JOURNAL}", "".join(f"{json.dumps(line)}\n" for line in lines))


@mistake("a format of captions that does not exist", "--write", "docx")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, write="txt,docx")


@mistake("an empty format of captions", "--write", "''")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, write="txt,,csv")


@mistake("replacing results without writing any", "--overwrite", "--write")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "--overwrite", write=None)


@mistake("metadata in place without metadata", "--in-place", "--write xmp")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "--in-place")


@mistake("an output file of another format", "out.csv", "--write")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "--output", str(shop / "out.csv"), write="jsonl")


@mistake("an output folder without a format", "out", "--write")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "--output", str(shop / "out"), write=None)


@mistake("an output folder that is a file", "notes.md", "--output")
def _(shop: Workshop) -> list[str]:
    shop.write("notes.md", "precious")
    return _caption(shop, "--output", str(shop / "notes.md"))


@mistake("an output folder below a file", "file/out", "--output")
def _(shop: Workshop) -> list[str]:
    shop.write("file", "precious")
    return _caption(shop, "--output", str(shop / "file/out"))


@mistake("an output that is one of the images", "0.jpg", "--output")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "--output", str(shop / "photos/0.jpg"), write="csv")


@mistake("captions of images in several folders without a place", "--output")
def _(shop: Workshop) -> list[str]:
    command = _caption(shop)
    command.insert(2, str(shop.write("others/3.jpg", jpeg())))
    return command


@mistake("a CSV file of somebody else in the place of the captions", "captions.csv", "--overwrite")
def _(shop: Workshop) -> list[str]:
    shop.write("photos/captions.csv", "image,caption\n0.jpg,Grandma in Rome\n")
    return _caption(shop, write="txt,csv")


@mistake("a page of somebody else in the place of the gallery", "captions.html", "--overwrite")
def _(shop: Workshop) -> list[str]:
    shop.write("photos/captions.html", '<meta name="generator" content="capsmith"><p>edited')
    return _caption(shop, write="html")


@mistake("a link in the place of the captions, with --overwrite", "captions.jsonl", "regular file")
def _(shop: Workshop) -> list[str]:
    command = _caption(shop, "--overwrite", write="jsonl")
    (shop / "photos/captions.jsonl").symlink_to(shop.write("precious", "old"))
    return command


@mistake("a pipe in the place of the captions", "captions.jsonl", "regular file")
def _(shop: Workshop) -> list[str]:
    command = _caption(shop, "--overwrite", write="jsonl")
    os.mkfifo(shop / "photos/captions.jsonl")
    return command


@mistake("images that another model captioned", "1", "another model", "--overwrite", "--skip-done")
def _(shop: Workshop) -> list[str]:
    command = _caption(shop)
    status = (shop / "photos/0.jpg").stat()
    line = {"image": "0.jpg", "size": status.st_size, "mtime": status.st_mtime_ns, "record": {"caption": "a dog"}}
    _journal(shop, HEAD, line, {"end": 1})
    return command


@mistake("a journal of other images", "/elsewhere", "--output")
def _(shop: Workshop) -> list[str]:
    _journal(shop, HEAD | {"root": "/elsewhere"})
    return _caption(shop)


@mistake("a journal with a damaged line", JOURNAL, "line 2")
def _(shop: Workshop) -> list[str]:
    _journal(shop, HEAD, {"image": "0.jpg", "size": "big", "mtime": 1, "record": {"caption": "a dog"}})
    return _caption(shop)


@mistake("a journal of a later version", JOURNAL, "line 1", "2")
def _(shop: Workshop) -> list[str]:
    _journal(shop, HEAD | {"journal": 2})
    return _caption(shop)


@mistake("a journal that is no text", JOURNAL, "line 1")
def _(shop: Workshop) -> list[str]:
    shop.write(f"photos/{JOURNAL}", bytes(range(256)) * 9)
    return _caption(shop)


@mistake("a journal that is a folder", JOURNAL)
def _(shop: Workshop) -> list[str]:
    (shop / "photos" / JOURNAL).mkdir(parents=True)
    return _caption(shop)


@mistake("a journal that is a link", JOURNAL, "regular file")
def _(shop: Workshop) -> list[str]:
    command = _caption(shop)
    (shop / "photos" / JOURNAL).symlink_to(shop.write("precious", "old"))
    return command


@mistake("a folder of images that cannot be written", "photos", "Read-only", "--output", around=read_only("photos"))
def _(shop: Workshop) -> list[str]:
    return _caption(shop)


@mistake("a full disk when captioning starts", JOURNAL, around=full_after(260))
def _(shop: Workshop) -> list[str]:
    return _caption(shop)


@mistake("no thread that decodes", "--workers", "0")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "--workers", "0")


@mistake("a batch of no image", "--batch-size", "0")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "--batch-size", "0", write=None)


@mistake("results in files and drawings of them", "--show", "--write")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "--show", str(shop / "sheet.png"))
