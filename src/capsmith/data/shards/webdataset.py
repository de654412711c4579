"""WebDataset: tar files in which the members of an image share a key, such as ``000012.jpg`` and ``000012.txt``.

The key is the member's path up to the first dot of its file name; what follows is its extension. img2dataset writes
such shards: Conceptual Captions, LAION and others.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal

from pydantic import Field

from capsmith.core.errors import DataError, one_line
from capsmith.core.readers.json_files import parse_json
from capsmith.core.readers.regular_files import SMALL_FILE, open_regular
from capsmith.core.readers.shard_members import tar_index
from capsmith.core.readers.tar_index import ShardError
from capsmith.data.record_builder import IMAGES
from capsmith.data.records import DATASETS, Corpus
from capsmith.data.shards.config import Pattern, ShardRows, ShardsConfig, all_shards
from capsmith.data.tables import Column

_MEMBER = re.compile(r"((?:.*/)?[^/.][^/.]*)\.([^/]+)")
_EXPECTED = {"txt", *(ending[1:] for ending in IMAGES)}  # extensions that only images and their captions have
_Place = tuple[str, int, int]  # name, offset, size


@DATASETS.register("capsmith.data.shards.webdataset:read")
class WebDatasetConfig(ShardsConfig):
    """WebDataset tars, as img2dataset writes them: images, each with a .txt (a caption per line) or .json beside it."""

    type: Literal["webdataset"] = "webdataset"
    train: Pattern = "*.tar"
    """The shards of the training images: ``train-{000000..000012}.tar``, a pattern with wildcards, or several."""
    captions: str | None = Field(default=None, min_length=1, max_length=100)
    """The extension of the members with captions, such as ``txt`` or ``json``; null uses ``txt``, and ``json`` for
    images without one. In a text, every line is a caption."""
    caption_key: Column = "caption"
    """The key of a ``json`` member with a caption or a list of captions."""


def read(config: WebDatasetConfig) -> Corpus:
    """Reads the captions of all shards; images are read from the shards when they are needed.

    Args:
        config: The shards.

    Raises:
        DataError: A shard is missing, damaged, compressed or cut off, or too many rows or images are unusable.
    """
    rows = ShardRows(config)
    for split, shard in all_shards(config):
        try:
            with open_regular(shard) as file:
                _add_shard(rows, config, shard, split, file)
        except (ShardError, OSError) as error:
            reason = getattr(error, "strerror", None) or one_line(error)
            raise DataError(f"{shard}: {reason}") from error
    return rows.build(draw=not config.has_splits)


def _add_shard(rows: ShardRows, config: WebDatasetConfig, shard: Path, split: str, file: BinaryIO) -> None:
    index = tar_index(shard)
    name = shard.relative_to(config.root).as_posix() if shard.is_relative_to(config.root) else shard.as_posix()
    if not index.has_end:
        rows.repaired.add("tar without a mark at its end: it may be cut off", name)
    for kind, member in index.skipped:
        rows.bad_image(kind, f"{name}/{member}", counted=False)
    samples: dict[str, dict[str, _Place]] = {}
    for member, offset, size in index:
        if (match := _MEMBER.fullmatch(member)) is not None and not match[1].rpartition("/")[2].startswith("__"):
            samples.setdefault(match[1], {}).setdefault(match[2].lower(), (member, offset, size))
    for key, parts in samples.items():
        image = next((place for ending, place in parts.items() if f".{ending}" in IMAGES), None)
        if image is None:
            if any(ending == config.captions or ending.rpartition(".")[2] in _EXPECTED for ending in parts):
                rows.bad_image(f"key without an image ({', '.join(parts)[:60]})", f"{name}/{key}", counted=False)
            continue  # otherwise statistics and the like
        captions = _captions(rows, config, f"{name}/{key}", parts, file)
        if ".." in Path(image[0]).parts or image[0].startswith("/"):
            rows.bad_image("member outside the shard", f"{name}/{image[0]}", counted=False)
        elif captions is None:
            rows.bad_image("image without a caption", f"{name}/{image[0]}", counted=False)
        else:
            rows.add(f"{name}/{image[0]}", f"{name}/{image[0]}", captions, split)


def _captions(
    rows: ShardRows, config: WebDatasetConfig, key: str, parts: dict[str, _Place], file: BinaryIO
) -> list[str] | None:
    """Returns the captions of a key; None if it has none."""
    wanted = (config.captions.lower(),) if config.captions else ("txt", "json")
    ending = next((ending for ending in wanted if ending in parts), None)
    if ending is None:
        return None
    _, offset, size = parts[ending]
    if size > SMALL_FILE:
        rows.reject("captions longer than 1 MB", key)
        return None
    file.seek(offset)
    try:
        text = file.read(size).decode("utf-8-sig")
        return list(_of_json(text, config.caption_key)) if ending.endswith("json") else _lines(text)
    except UnicodeDecodeError:
        rows.reject("caption that is not UTF-8", key)
    except ValueError as error:
        rows.reject(f"JSON without captions ({one_line(error)[:60]})", key)
    return None


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()] or [""]


def _of_json(text: str, key: str) -> Iterator[str]:
    content: Any = parse_json(text, strict=False)
    value = content.get(key) if isinstance(content, dict) else None
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not value or not all(isinstance(caption, str) for caption in value):
        raise ValueError(f"no text or list of texts under '{key}'")
    yield from value
