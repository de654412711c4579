"""Custom datasets: a folder of images, and a table of captions or a text file for each image."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from capsmith.data.files import locate, locate_images
from capsmith.data.record_builder import RecordBuilder
from capsmith.data.records import DATASETS, Corpus, DatasetConfig, SplitConfig
from capsmith.data.sidecars import add_sidecars, sidecar_names
from capsmith.data.splits import seeded_split
from capsmith.data.table_rows import Columns, add_rows
from capsmith.data.tables import Column, Delimiter, read_table


@DATASETS.register("capsmith.data.folder:read")
class FolderConfig(DatasetConfig):
    """Your own images: a folder, and a table (CSV, TSV, JSON) with image and caption, or a .txt for each image."""

    type: Literal["folder"] = "folder"
    captions: Path = Path("captions.csv")
    """The table below ``root``: .csv, .tsv, .jsonl or .json with one caption per row; an image may have many rows. Or a
    folder with a text file for each image, ``dog.txt`` for ``dog.jpg``, in which every line is a caption."""
    images: Path = Path("images")
    """The image folder below ``root``; ``.`` is ``root`` itself."""
    image_column: Column = "image"
    """The column with the path of the image below ``images``. The file extension may be omitted if only one image
    matches."""
    caption_column: Column | tuple[Column, ...] = "caption"
    """The column with the caption, or several columns. A field may hold a list of captions in JSON or Python syntax."""
    split_column: Column | None = None
    """The column with train, dev (or val, validation) or test. null uses the column ``split`` if it exists."""
    header: bool = True
    """false if there is no header line; the columns are then called ``1``, ``2`` and so on."""
    delimiter: Delimiter | None = None
    """comma, semicolon, tab, pipe (``|``), or space (only the one after the first word); null detects it."""
    caption_separator: str | None = Field(default=None, min_length=1, max_length=20)
    """The separator of several captions in one field, such as ``|``; null treats a field as one caption."""
    split: SplitConfig = SplitConfig()
    """The seeded random split by image, used if the table has no split column."""

    @property
    def caption_columns(self) -> tuple[str, ...]:
        """The columns with captions."""
        return (self.caption_column,) if isinstance(self.caption_column, str) else self.caption_column


def read(config: FolderConfig) -> Corpus:
    """Reads the captions, and the splits of the table or a random one.

    Args:
        config: The files.

    Raises:
        DataError: A file or column is missing, an image is in two splits, or too many rows or images are unusable.
    """
    has_sidecars = next(sidecar_names(config.root / config.captions), None) is not None
    source = locate(config, config.captions, "captions", folder=has_sidecars)
    builder = RecordBuilder(config, source, locate_images(config, config.images), add_ending=True)
    if has_sidecars:
        add_sidecars(builder, source)
        return builder.build(lambda image_ids: seeded_split(image_ids, config.split))
    captions = config.caption_columns
    required = {"image_column": config.image_column}
    required |= {f"caption_column.{n}" if n else "caption_column": column for n, column in enumerate(captions)}
    if config.split_column is not None:
        required["split_column"] = config.split_column
    table = read_table(source, required, config.header, config.delimiter)
    split = config.split_column or ("split" if "split" in table.columns else None)
    add_rows(builder, table, Columns(config.image_column, captions, split, config.caption_separator))
    return builder.build(None if split else lambda image_ids: seeded_split(image_ids, config.split))
