"""``capsmith caption --input``: inputs, outputs and options of a sharded job."""

import io
import shutil
import tarfile
from pathlib import Path

from tests.mistakes import Workshop, mistake


def _photos(shop: Workshop) -> Path:
    folder = shop / "photos"
    folder.mkdir()
    shutil.copy(shop.toy.data / "images" / "red_ball.png", folder / "red_ball.png")
    return folder


def _sharded(shop: Workshop, input: object, *more: object) -> list[str]:
    return ["caption", str(shop.toy.run), "--input", str(input), "--output", str(shop / "out"), *map(str, more)]


@mistake("shards without a folder", "--input", "--output")
def _(shop: Workshop) -> list[str]:
    return ["caption", str(shop.toy.run), "--input", str(_photos(shop))]


@mistake("images and --input", "red_ball.png", "--input")
def _(shop: Workshop) -> list[str]:
    photos = _photos(shop)
    return [*_sharded(shop, photos), str(photos / "red_ball.png")]


@mistake("a bucket for captions of a folder", "s3://bucket/out", "--input")
def _(shop: Workshop) -> list[str]:
    return ["caption", str(shop.toy.run), str(_photos(shop)), "--output", "s3://bucket/out"]


@mistake("an image of a bucket", "s3://bucket/a.jpg", "--input")
def _(shop: Workshop) -> list[str]:
    return ["caption", str(shop.toy.run), "s3://bucket/a.jpg"]


@mistake("an engine without --input", "--engine", "--input")
def _(shop: Workshop) -> list[str]:
    return ["caption", str(shop.toy.run), str(_photos(shop)), "--engine", "ray"]


@mistake("an engine that does not exist", "spark", "local", "ray")
def _(shop: Workshop) -> list[str]:
    return _sharded(shop, _photos(shop), "--engine", "spark")


@mistake("no workers", "--workers", "0")
def _(shop: Workshop) -> list[str]:
    return _sharded(shop, _photos(shop), "--workers", 0)


@mistake("a batch of a million", "--batch-size", "1000000")
def _(shop: Workshop) -> list[str]:
    return _sharded(shop, _photos(shop), "--batch-size", 1_000_000)


def _option(option: str, *values: str) -> None:
    @mistake(f"shards and {option}", option, "--input")
    def _(shop: Workshop) -> list[str]:
        return _sharded(shop, _photos(shop), option, *values)


_option("--write", "jsonl")
_option("--show", "sheet.png")
_option("--attention", "sheet.png")
_option("--overwrite")
_option("--skip-done")
_option("--in-place")


@mistake("a folder to shard that does not exist", "fotos")
def _(shop: Workshop) -> list[str]:
    return _sharded(shop, shop / "fotos")


@mistake("a folder to shard without images", "texts", ".jpg")
def _(shop: Workshop) -> list[str]:
    shop.write("texts/a.txt", "x")
    return _sharded(shop, shop / "texts")


@mistake("a pattern that matches nothing", "*.tar")
def _(shop: Workshop) -> list[str]:
    return _sharded(shop, f"{_photos(shop)}/*.tar")


@mistake("a pattern that matches tars and tables", "several kinds")
def _(shop: Workshop) -> list[str]:
    for name in ("a.tar", "a.parquet"):
        shop.write(f"mixed/{name}", b"")
    return _sharded(shop, f"{shop / 'mixed'}/a.*")


@mistake("a protocol that no package opens", "nonsense://bucket/in")
def _(shop: Workshop) -> list[str]:
    return _sharded(shop, "nonsense://bucket/in")


@mistake("an address without a bucket", "s3://")
def _(shop: Workshop) -> list[str]:
    return _sharded(shop, "s3://")


@mistake("shards among somebody's files", "out", "diary.txt")
def _(shop: Workshop) -> list[str]:
    shop.write("out/diary.txt", "dear diary")
    return _sharded(shop, _photos(shop))


@mistake("shards into the folder of the images", "photos", "red_ball.png")
def _(shop: Workshop) -> list[str]:
    photos = _photos(shop)
    return ["caption", str(shop.toy.run), "--input", str(photos), "--output", str(photos)]


@mistake("shards into a file", "out")
def _(shop: Workshop) -> list[str]:
    shop.write("out", "precious")
    return _sharded(shop, _photos(shop))


@mistake("a description of a job that is damaged", "job.json")
def _(shop: Workshop) -> list[str]:
    shop.write("out/job.json", "{")
    shop.write("out/shards/x", "")
    return _sharded(shop, _photos(shop))


@mistake("a text called .parquet", "rows.parquet")
def _(shop: Workshop) -> list[str]:
    return _sharded(shop, shop.write("rows.parquet", "image,caption\n"))


@mistake("a table of paths, not of images", "rows.parquet", "column")
def _(shop: Workshop) -> list[str]:
    from pyarrow import Table, parquet

    parquet.write_table(Table.from_pydict({"image": ["a.jpg"], "label": [1]}), shop / "rows.parquet")
    return _sharded(shop, shop / "rows.parquet")


@mistake("a text called .tar", "notes.tar", works=("0 captions",))
def _(shop: Workshop) -> list[str]:
    return _sharded(shop, shop.write("notes.tar", "x" * 2000))


@mistake("a tar that was cut off", "photos.tar", "damaged", works=("1 caption ",))
def _(shop: Workshop) -> list[str]:
    content = (_photos(shop) / "red_ball.png").read_bytes()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("a.png", "b.png"):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return _sharded(shop, shop.write("photos.tar", buffer.getvalue()[: 1024 + len(content)]))
