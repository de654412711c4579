"""Flickr8k in its official text files (Hodosh et al. 2013)."""

from pathlib import Path
from typing import Literal

from capsmith.data.files import locate, locate_images, numbered_lines
from capsmith.data.image_names import NameResolver
from capsmith.data.record_builder import RecordBuilder
from capsmith.data.records import DATASETS, Corpus, DatasetConfig, SplitConfig
from capsmith.data.splits import SplitLists, read_lists, seeded_split


@DATASETS.register("capsmith.data.flickr8k:read")
class Flickr8kConfig(DatasetConfig):
    """Flickr8k's official files: Flickr8k.token.txt, three split lists, a folder of images."""

    type: Literal["flickr8k"] = "flickr8k"
    captions: Path = Path("Flickr8k.token.txt")
    """The captions file below ``root``, one caption per line: ``image#number``, a tab, the caption."""
    images: Path = Path("Images")
    """The image folder below ``root``."""
    lists: SplitLists | None = SplitLists()
    """The official split lists; images in no list belong to no split. null draws a random ``split`` instead."""
    split: SplitConfig = SplitConfig()
    """The seeded random split by image, used if ``lists`` is null."""


def read(config: Flickr8kConfig) -> Corpus:
    """Reads the captions, and the official splits or a random one.

    Args:
        config: The files.

    Raises:
        DataError: A file is missing or in another format, or too many rows are unusable.
    """
    source = locate(config, config.captions, "captions")
    builder = RecordBuilder(config, source, locate_images(config, config.images))
    listed = None if config.lists is None else read_lists(config, config.lists)
    names = NameResolver(builder)
    for number, line in numbered_lines(source):
        key, tab, caption = line.partition("\t")
        image_id, _, caption_number = key.rpartition("#")
        if tab and image_id and caption_number.isdigit():
            names.add(image_id, caption, key=caption_number)
        else:
            builder.reject("row that is not image#number, tab, caption", f"line {number}")
    return builder.build(lambda image_ids: seeded_split(image_ids, config.split) if listed is None else listed)
