"""A data set of one's own: a folder of images and a table of captions, or a text file for each image."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from capsmith.data.files import locate, locate_images
from capsmith.data.record_builder import Rows
from capsmith.data.records import DATASETS, Corpus, DatasetConfig, SplitConfig
from capsmith.data.sidecars import notes_below, take_notes
from capsmith.data.splits import seeded_split
from capsmith.data.table_rows import Columns, take_rows
from capsmith.data.tables import Column, Delimiter, read_table


@DATASETS.register("capsmith.data.folder:read")
class FolderConfig(DatasetConfig):
    """Your own images: a folder, and a table (CSV, TSV, JSON) with image and caption, or a .txt for each image."""

    type: Literal["folder"] = "folder"
    captions: Path = Path("captions.csv")
    """The table below ``root``: .csv, .tsv, .jsonl or .json, a caption a row; an image may have many. Or a
    folder with a text file for each image, ``dog.txt`` for ``dog.jpg``, every line of it a caption."""
    images: Path = Path("images")
    """The folder with the images, below ``root``; ``.`` is ``root`` itself."""
    image_column: Column = "image"
    """The column with the image's path below ``images``; the ending may be missing where one image has the name."""
    caption_column: Column | tuple[Column, ...] = "caption"
    """The column with the caption, or several; a list of captions will do, as JSON or Python write it."""
    split_column: Column | None = None
    """The column with train, dev (or val, validation) or test; by default ``split`` where there is one."""
    header: bool = True
    """false: the first row is a row already, and the columns are called ``1``, ``2`` and so on."""
    delimiter: Delimiter | None = None
    """comma, semicolon, tab, pipe (``|``), or space (behind the first word); null finds it out."""
    caption_separator: str | None = Field(default=None, min_length=1, max_length=20)
    """What separates several captions in one field, such as ``|``."""
    split: SplitConfig = SplitConfig()
    """The seeded split by image, where the file has no such column."""


def read(config: FolderConfig) -> Corpus:
    """Reads the captions; the splits come from the table, or from a seed.

    Args:
        config: Where the files are.

    Raises:
        DataError: A file or column is missing, an image is in two splits, or too much cannot be used.
    """
    notes = next(notes_below(config.root / config.captions), None) is not None
    source = locate(config, config.captions, "captions", folder=notes)
    rows = Rows(config, source, locate_images(config, config.images), complete=True)
    if notes:
        take_notes(rows, source)
        return rows.corpus(lambda image_ids: seeded_split(image_ids, config.split))
    captions = (config.caption_column,) if isinstance(config.caption_column, str) else config.caption_column
    required = {"image_column": config.image_column}
    required |= {f"caption_column.{n}" if n else "caption_column": column for n, column in enumerate(captions)}
    if config.split_column is not None:
        required["split_column"] = config.split_column
    table = read_table(source, required, config.header, config.delimiter)
    split = config.split_column or ("split" if "split" in table.columns else None)
    take_rows(rows, table, Columns(config.image_column, captions, split, config.caption_separator))
    return rows.corpus(None if split else lambda image_ids: seeded_split(image_ids, config.split))
