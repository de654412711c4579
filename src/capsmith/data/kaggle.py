"""Flickr8k and Flickr30k as Kaggle has them: one CSV with captions, one folder of images."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from capsmith.data.files import locate, locate_images
from capsmith.data.record_builder import Rows
from capsmith.data.records import DATASETS, Corpus, DatasetConfig, SplitConfig
from capsmith.data.splits import SplitLists, read_lists, seeded_split
from capsmith.data.table_rows import Columns, take_rows
from capsmith.data.tables import Column, Delimiter, read_table


@DATASETS.register("capsmith.data.kaggle:read")
class KaggleConfig(DatasetConfig):
    """Kaggle's captions.txt (CSV with image and caption) and its folder Images."""

    renamed: ClassVar[Mapping[str, str]] = {"captions_per_picture": "captions_per_image"}

    type: Literal["kaggle"] = "kaggle"
    captions: Path = Path("captions.txt")
    """The CSV below ``root``; columns may be separated by commas, semicolons, tabs or ``|``."""
    images: Path = Path("Images")
    """The folder with the images, below ``root``."""
    image_column: Column = "image"
    """The column with the image's file name."""
    caption_column: Column = "caption"
    """The column with the caption."""
    header: bool = True
    """false: the first row is a row already, and the columns are called ``1``, ``2`` and so on."""
    delimiter: Delimiter | None = None
    """comma, semicolon, tab, pipe (``|``), or space (behind the first word); null finds it out."""
    captions_per_image: int = Field(default=5, ge=0)
    """Up to so many, identical captions of an image are of two people who agree; beyond, duplicate rows."""
    lists: SplitLists | None = None
    """Split lists below ``root``; ``{}`` takes the official names. By default ``split`` is used instead."""
    split: SplitConfig = SplitConfig()
    """The seeded split by image, where ``lists`` are not given."""


def read(config: KaggleConfig) -> Corpus:
    """Reads the captions and splits the images.

    Args:
        config: Where the files are.

    Raises:
        DataError: A file or column is missing, or too much cannot be used.
    """
    source = locate(config, config.captions, "captions")
    images = locate_images(config, config.images)
    rows = Rows(config, source, images, repeats=config.captions_per_image)
    required = {"image_column": config.image_column, "caption_column": config.caption_column}
    table = read_table(source, required, config.header, config.delimiter)
    take_rows(rows, table, Columns(config.image_column, (config.caption_column,)))
    listed = None if config.lists is None else read_lists(config, config.lists)

    def assign(image_ids: Iterable[str]) -> Mapping[str, str]:
        return seeded_split(image_ids, config.split) if listed is None else listed

    return rows.corpus(assign)
