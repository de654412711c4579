"""Sharded data sets: shards that are missing, broken, or not what the config says."""

import tarfile
from typing import Any

from tests.mistakes import Workshop, mistake
from tests.support import toy
from tests.support.shards import tar_bytes

PNG = b"\x89PNG\r\n\x1a\n"
SPLIT = {"dev": 0.2, "test": 0.2}


def _read(shop: Workshop, content: bytes | None = None, name: str = "a.tar", **data: Any) -> list[str]:
    """Extracts from a folder with one shard."""
    shop.write(f"shards/{name}", tar_bytes(_pairs()) if content is None else content)
    kind = {"type": "webdataset" if name.endswith(".tar") else "parquet", "root": str(shop / "shards")}
    values = {**toy.settings(shop.toy.data, shop / "cache"), "data": {**kind, **data}}
    return ["extract", "--config", str(toy.write_config(shop / "config.yaml", values))]


def _pairs(count: int = 9) -> list[tuple[str, bytes]]:
    return [(f"{n}.{e}", c) for n in range(count) for e, c in (("png", PNG), ("txt", f"Words {n}".encode()))]


def _parquet(**columns: Any) -> bytes:
    import io

    import pyarrow
    from pyarrow import parquet

    buffer = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), buffer)
    return buffer.getvalue()


@mistake("numbered tars, one of which is missing", "data.train", "a-1.tar")
def _(shop: Workshop) -> list[str]:
    return _read(shop, name="a-0.tar", train="a-{0..3}.tar")


@mistake("a pattern of a thousand billion tars", "data.train", "{0..999999999999}")
def _(shop: Workshop) -> list[str]:
    return _read(shop, train="a-{0..999999999999}.tar")


@mistake("shards of test, but not of dev", "dev")
def _(shop: Workshop) -> list[str]:
    return _read(shop, test="a.tar")


@mistake("a tar in two splits", "data.dev", "a.tar")
def _(shop: Workshop) -> list[str]:
    return _read(shop, dev="*.tar")


@mistake("a tar that is cut off", "a.tar", "cut off")
def _(shop: Workshop) -> list[str]:
    return _read(shop, tar_bytes(_pairs())[:5000])


@mistake("a tar that is compressed", "a.tar", "gzip")
def _(shop: Workshop) -> list[str]:
    return _read(shop, b"\x1f\x8b\x08" + bytes(2000))


@mistake("a tar that is an error page", "a.tar")
def _(shop: Workshop) -> list[str]:
    return _read(shop, b"<html>404</html>" * 100)


@mistake("a tar whose header says 8 GB", "a.tar", "header")
def _(shop: Workshop) -> list[str]:
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 2**33
    return _read(shop, header.tobuf(tarfile.GNU_FORMAT) + bytes(4096))


@mistake("members outside the tar", "max_bad_fraction", "../x.png")
def _(shop: Workshop) -> list[str]:
    return _read(shop, tar_bytes([("../x.png", PNG), ("../x.txt", b"Words"), *_pairs()]))


@mistake("images without captions in a tar", "max_bad_fraction", "9.png")
def _(shop: Workshop) -> list[str]:
    return _read(shop, tar_bytes([("9.png", PNG), *_pairs()]))


@mistake("captions in a tar under another key", "max_bad_fraction", "'caption'")
def _(shop: Workshop) -> list[str]:
    return _read(shop, tar_bytes([("9.png", PNG), ("9.json", b'{"text": "Words"}'), *_pairs()]))


@mistake("members of a tar that are no images", "a.tar/", "features.max_bad_fraction")
def _(shop: Workshop) -> list[str]:
    return _read(shop, tar_bytes([(name, b"no image") if "png" in name else (name, text) for name, text in _pairs()]))


@mistake("a column that a Parquet file lacks", "a.parquet", "'image'", "img")
def _(shop: Workshop) -> list[str]:
    return _read(shop, _parquet(img=[PNG], caption=["Words"]), "a.parquet")


@mistake("a Parquet column of URLs", "a.parquet", "'url'", "string")
def _(shop: Workshop) -> list[str]:
    return _read(shop, _parquet(url=["https://x/y.jpg"], caption=["Words"]), "a.parquet", image_column="url")


@mistake("captions in a Parquet file that are numbers", "max_bad_fraction", "a.parquet, row 0")
def _(shop: Workshop) -> list[str]:
    return _read(shop, _parquet(image=[PNG] * 3, caption=[1, 2, 3]), "a.parquet")


@mistake("a Parquet file that is cut off", "a.parquet", "Parquet")
def _(shop: Workshop) -> list[str]:
    return _read(shop, _parquet(image=[PNG] * 30, caption=["Words"] * 30)[:-40], "a.parquet")


@mistake("an image of a Parquet file in two splits", "7", "train", "test")
def _(shop: Workshop) -> list[str]:
    content = _parquet(image=[PNG] * 2, caption=["Words"] * 2, id=[7, 7], split=["train", "test"])
    return _read(shop, content, "a.parquet", id_column="id")
