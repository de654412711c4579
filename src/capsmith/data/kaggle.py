"""Flickr8k and Flickr30k as on Kaggle: one CSV with captions, one folder of images."""

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from capsmith.data.files import locate, locate_images
from capsmith.data.record_builder import RecordBuilder
from capsmith.data.records import DATASETS, Corpus, DatasetConfig, SplitConfig
from capsmith.data.splits import SplitLists, read_lists, seeded_split
from capsmith.data.table_rows import Columns, add_rows
from capsmith.data.tables import Column, Delimiter, read_table


@DATASETS.register("capsmith.data.kaggle:read")
class KaggleConfig(DatasetConfig):
    """Kaggle's captions.txt (CSV with image and caption) and its folder Images."""

    renamed: ClassVar[dict[str, str]] = {**DatasetConfig.renamed, "captions_per_picture": "captions_per_image"}

    type: Literal["kaggle"] = "kaggle"
    captions: Path = Path("captions.txt")
    """The CSV file below ``root``, with columns separated by commas, semicolons, tabs or ``|``."""
    images: Path = Path("Images")
    """The image folder below ``root``."""
    image_column: Column = "image"
    """The column with the image's file name."""
    caption_column: Column = "caption"
    """The column with the caption."""
    header: bool = True
    """false if there is no header line; the columns are then called ``1``, ``2`` and so on."""
    delimiter: Delimiter | None = None
    """comma, semicolon, tab, pipe (``|``), or space (only the one after the first word); null detects it."""
    captions_per_image: int = Field(default=5, ge=0)
    """Expected number of captions per image. Identical captions of an image are kept up to this number, since two
    people may write the same; surplus ones are skipped as duplicate rows."""
    lists: SplitLists | None = None
    """Split lists below ``root``; ``{}`` uses the official file names. null draws a random ``split`` instead."""
    split: SplitConfig = SplitConfig()
    """The seeded random split by image, used if ``lists`` is null."""


def read(config: KaggleConfig) -> Corpus:
    """Reads the captions and splits the images.

    Args:
        config: The files.

    Raises:
        DataError: A file or column is missing, or too many rows or images are unusable.
    """
    source = locate(config, config.captions, "captions")
    images = locate_images(config, config.images)
    builder = RecordBuilder(config, source, images, repeats=config.captions_per_image)
    required = {"image_column": config.image_column, "caption_column": config.caption_column}
    table = read_table(source, required, config.header, config.delimiter)
    add_rows(builder, table, Columns(config.image_column, (config.caption_column,)))
    listed = None if config.lists is None else read_lists(config, config.lists)
    return builder.build(lambda image_ids: seeded_split(image_ids, config.split) if listed is None else listed)
