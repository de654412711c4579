"""Shards of a data set: the same images and captions as WebDataset tars and as Parquet files."""

import io
import json
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from capsmith.data.records import Record


def tar_bytes(members: Iterable[tuple[str, bytes]]) -> bytes:
    """Returns a tar file with regular members."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def members_of(records: Sequence[Record], first: int = 0, as_json: bool = False) -> Iterable[tuple[str, bytes]]:
    """Yields the members of images and captions, as img2dataset names them."""
    for number, record in enumerate(records, first):
        yield f"{number:09d}{record.path.suffix}", record.path.read_bytes()
        if as_json:
            yield f"{number:09d}.json", json.dumps({"caption": list(record.captions), "key": number}).encode()
        else:
            yield f"{number:09d}.txt", "\n".join(record.captions).encode()


def write_tars(folder: Path, records: Sequence[Record], per_shard: int, as_json: bool = False) -> dict[str, Any]:
    """Writes WebDataset tars of each split, and returns the settings that read them."""
    folder.mkdir(parents=True, exist_ok=True)
    patterns = {}
    for split, part in _splits(records):
        starts = range(0, len(part), per_shard)
        for number, first in enumerate(starts):
            content = tar_bytes(members_of(part[first : first + per_shard], first, as_json))
            (folder / f"{split}-{number:06d}.tar").write_bytes(content)
        patterns[split] = f"{split}-{{000000..{len(starts) - 1:06d}}}.tar"
    return {"type": "webdataset", "root": str(folder), **patterns}


def write_parquet(
    folder: Path, records: Sequence[Record], per_shard: int, per_group: int = 100, structs: bool = True
) -> dict[str, Any]:
    """Writes Parquet files of each split as Hugging Face does, and returns the settings that read them."""
    import pyarrow
    from pyarrow import parquet

    folder.mkdir(parents=True, exist_ok=True)
    patterns = {}
    for split, part in _splits(records):
        for number, first in enumerate(range(0, len(part), per_shard)):
            some = part[first : first + per_shard]
            contents = [record.path.read_bytes() for record in some]
            images = [{"bytes": one, "path": r.path.name} for one, r in zip(contents, some, strict=True)]
            table = pyarrow.table(
                {
                    "image": images if structs else contents,
                    "caption": [list(record.captions) for record in some],
                    "file_name": [record.image_id for record in some],
                }
            )
            parquet.write_table(table, folder / f"{split}-{number:05d}.parquet", row_group_size=per_group)
        patterns[split] = f"{split}-*.parquet"
    return {"type": "parquet", "root": str(folder), "id_column": "file_name", **patterns}


def _splits(records: Sequence[Record]) -> Iterable[tuple[str, list[Record]]]:
    for split in ("train", "dev", "test"):
        if part := [record for record in records if record.split == split]:
            yield split, part
