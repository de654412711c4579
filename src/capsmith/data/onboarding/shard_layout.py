"""Detects a folder of WebDataset tars or Parquet files: the shards of each split, and the columns."""

import re
from collections.abc import Sequence
from pathlib import Path

from capsmith.core.errors import DataError, one_line
from capsmith.core.readers.parquet_rows import ParquetRows
from capsmith.core.readers.shard_members import PARQUET, TAR, parquet_rows
from capsmith.core.readers.tar_index import ShardError
from capsmith.data.onboarding.table_layout import DatasetLayout
from capsmith.data.record_builder import IMAGES
from capsmith.data.shards.config import ShardsConfig
from capsmith.data.shards.parquet import ParquetConfig
from capsmith.data.shards.webdataset import WebDatasetConfig
from capsmith.data.splits import split_name

_CAPTIONS = ("caption", "captions", "text", "sentences", "sentence", "raw", "description", "alt_text", "TEXT")
_IDS = ("image_id", "img_id", "imgid", "id", "key", "__key__", "filename", "file_name")
_WORD = re.compile(r"[a-z]+")


def shard_layout(folder: Path) -> DatasetLayout | None:
    """Returns the layout of a folder whose files are tars or Parquet files; None if there are none, or images too.

    Args:
        folder: Holds the shards, or a folder ``data`` with them.

    Raises:
        DataError: A Parquet file is damaged, or its columns hold no images or captions.
    """
    for place in (folder, folder / "data"):
        try:
            names = sorted(path.name for path in place.iterdir() if path.is_file())
        except OSError:
            continue
        for ending in (TAR, PARQUET):
            shards = [name for name in names if name.endswith(ending) and not name.startswith(".")]
            if shards and not any(Path(name).suffix.lower() in IMAGES for name in names):
                below = "" if place == folder else "data/"
                return _layout(folder, below, shards, ending)
    return None


def _layout(folder: Path, below: str, shards: Sequence[str], ending: str) -> DatasetLayout:
    patterns = _patterns(below, shards, ending)
    if ending == TAR:
        config: ShardsConfig = WebDatasetConfig.model_validate({"root": folder, **patterns})
        return DatasetLayout(config, config.has_splits, matches=len(shards))
    path = folder / below / shards[0]
    try:
        columns, has_split = _columns(parquet_rows(path))
    except (ShardError, OSError) as error:
        raise DataError(f"{path}: {getattr(error, 'strerror', None) or one_line(error)}") from error
    config = ParquetConfig.model_validate({"root": folder, **patterns, **columns})
    return DatasetLayout(config, config.has_splits or has_split, matches=len(shards))


def _patterns(below: str, shards: Sequence[str], ending: str) -> dict[str, str | list[str]]:
    """Returns the patterns of each split, by the first word of the names that is one."""
    named: dict[str, dict[str, None]] = {}
    for name in shards:
        word = next((word for word in _WORD.findall(name.lower()) if split_name(word)), "")
        start = name[: name.lower().index(word) + len(word)] if word else ""
        named.setdefault(split_name(word) or "", {})[f"{below}{start}*{ending}"] = None
    if "" in named or not {"train", "dev"} <= named.keys():
        return {"train": f"{below}*{ending}"}
    found = {split: [*patterns] for split, patterns in named.items()}
    return {split: patterns[0] if len(patterns) == 1 else patterns for split, patterns in found.items()}


def _columns(file: ParquetRows) -> tuple[dict[str, str], bool]:
    """Returns the settings of the columns, and whether one has splits.

    Raises:
        ShardError: No column holds images, or none captions.
    """
    image = next((column for column in file.columns if _holds_images(file, column)), None)
    kinds = {column: str(file.file.schema_arrow.field(column).type) for column in file.columns}
    texts = [c for c, kind in kinds.items() if kind in ("string", "large_string") or kind.startswith("list<")]
    caption = next((column for column in _CAPTIONS if column in texts and "string" in kinds[column]), None)
    if image is None or caption is None:
        what = "bytes of images" if image is None else f"captions ({', '.join(_CAPTIONS[:4])})"
        raise ShardError(f"no column holds {what}; it has {', '.join(file.columns)[:300]}")
    ids = next((c for c in _IDS if kinds.get(c) in ("string", "large_string", "int64", "int32")), None)
    columns = {"image_column": image, "caption_column": caption}
    return columns | ({"id_column": ids} if ids else {}), "split" in file.columns


def _holds_images(file: ParquetRows, column: str) -> bool:
    try:
        file.leaf(column)
    except ShardError:
        return False
    return True
