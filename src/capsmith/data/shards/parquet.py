"""Parquet files whose rows hold images and captions, as Hugging Face exports data sets.

A column of images holds the bytes of image files, or Hugging Face's struct of ``bytes`` and ``path``.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from capsmith.core.errors import DataError, one_line
from capsmith.core.readers.parquet_rows import ParquetRows, import_pyarrow
from capsmith.core.readers.shard_members import parquet_rows
from capsmith.core.readers.tar_index import ShardError
from capsmith.data.records import DATASETS, Corpus
from capsmith.data.shards.config import Pattern, ShardRows, ShardsConfig, all_shards
from capsmith.data.splits import split_name
from capsmith.data.tables import Column

_BATCH = 2048  # rows of captions read at once
_SPLITS = {"restval": "train"}  # of COCO, see karpathy.py


@DATASETS.register("capsmith.data.shards.parquet:read")
class ParquetConfig(ShardsConfig):
    """Parquet files, as Hugging Face exports them: a column with the bytes of images, one or several with captions."""

    type: Literal["parquet"] = "parquet"
    train: Pattern = "*.parquet"
    """The files of the training images: ``data/train-*.parquet``, ``train-{0..12}.parquet``, or several patterns."""
    image_column: Column = "image"
    """The column with the bytes of image files, or with structs that have a field ``bytes``."""
    caption_column: Column | tuple[Column, ...] = "caption"
    """The column with a caption or a list of captions, or several columns."""
    id_column: Column | None = None
    """The column with the id of the image; rows with the same id are captions of one image. null makes ids of file and
    row."""
    split_column: Column | None = None
    """The column with train, dev (or val, validation) or test, used if only ``train`` is given. null uses the column
    ``split`` if it exists."""

    @property
    def caption_columns(self) -> tuple[str, ...]:
        """The columns with captions."""
        return (self.caption_column,) if isinstance(self.caption_column, str) else self.caption_column


def read(config: ParquetConfig) -> Corpus:
    """Reads the captions of all files; images are read from them when they are needed.

    Args:
        config: The files and columns.

    Raises:
        MissingExtraError: pyarrow is not installed.
        DataError: A file is missing, damaged or without a column, or too many rows or images are unusable.
    """
    import_pyarrow("data.type: parquet")
    rows = ShardRows(config)
    drawn = not config.has_splits
    for split, path in all_shards(config):
        try:
            file = parquet_rows(path)
            split_column = None if config.has_splits else _split_column(config, file)
            drawn = drawn and split_column is None
            _add_file(rows, config, path, file, split, split_column)
        except (ShardError, OSError) as error:
            reason = getattr(error, "strerror", None) or one_line(error)
            raise DataError(f"{path}: {reason}") from error
    return rows.build(drawn)


def _add_file(
    rows: ShardRows, config: ParquetConfig, path: Path, file: ParquetRows, split: str, split_column: str | None
) -> None:
    name = path.relative_to(config.root).as_posix() if path.is_relative_to(config.root) else path.as_posix()
    file.leaf(config.image_column)
    if "/" in config.image_column:
        raise ShardError(f"the name of the column '{config.image_column}' has a slash: rename it")
    absent = file.without_value(config.image_column)
    wanted = [*config.caption_columns, *filter(None, (config.id_column, split_column))]
    for number, row in enumerate(file.values(wanted, _BATCH)):
        place = f"{name}/{config.image_column}/{number}"
        image_id = f"{name}/{number}" if config.id_column is None else row[config.id_column]
        if number in absent:
            rows.bad_image("row without an image", f"{name}, row {number}", counted=False)
            continue
        if type(image_id) is int:
            image_id = str(image_id)
        if not isinstance(image_id, str):
            rows.bad_image(f"row without a usable {config.id_column}", f"{name}, row {number}", counted=False)
            continue
        if split_column is not None:
            word = row[split_column]
            known = split_name(_SPLITS.get(word, word)) if isinstance(word, str) else None
            if known is None:
                rows.bad_image("unknown split (train, val or test)", f"{word!r} in {name}, row {number}"[:100], False)
                continue
            split = known
        captions = [value for column in config.caption_columns for value in _texts(row[column])]
        if captions and all(isinstance(caption, str) for caption in captions):
            rows.add(image_id, place, captions, split)
        else:
            rows.bad_image("image without a caption", f"{name}, row {number}", counted=False)


def _split_column(config: ParquetConfig, file: ParquetRows) -> str | None:
    if config.split_column is not None:
        return config.split_column
    return "split" if "split" in file.columns else None


def _texts(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        yield from (each for each in value if each is not None)
    elif value is not None:
        yield value
