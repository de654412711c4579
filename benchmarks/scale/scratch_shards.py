"""The same images as a folder, as WebDataset tars and as Parquet files, written for a measurement."""

import csv
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from capsmith.data.records import Record
from tests.support.shards import write_parquet, write_tars


def write_all(folder: Path, records: Sequence[Record], per_shard: int) -> dict[str, dict[str, Any]]:
    """Writes records in three forms; returns the ``data`` settings of each.

    Args:
        folder: Where to write; replaced if it exists.
        records: The images, which are copied.
        per_shard: Images in a shard.
    """
    shutil.rmtree(folder, ignore_errors=True)
    images = folder / "folder" / "images"
    images.mkdir(parents=True)
    with (folder / "folder" / "captions.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "caption", "split"])
        for record in records:
            shutil.copyfile(record.path, images / record.path.name)
            writer.writerows((record.path.name, caption, record.split) for caption in record.captions)
    return {
        "folder": {"type": "folder", "root": str(folder / "folder")},
        "webdataset": write_tars(folder / "tars", records, per_shard),
        "parquet": write_parquet(folder / "parquet", records, per_shard),
    }
