"""The shards of a job: one Parquet file for each block, with the files beside it that its rows belong to."""

import io
import json
import os
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from capsmith.core.errors import CheckpointError, DataError, one_line
from capsmith.core.readers.json_files import parse_json
from capsmith.deploy.batch.places import Place
from capsmith.deploy.batch.plan import import_pyarrow

_NAME = re.compile(r"shards/(\d{8})\.parquet")
_FAILED = b"capsmith.failed"
_READERS, _PART = 16, 4096  # threads that read the ends of shards, and shards that are given to them at once


@dataclass
class Shard:
    """The result of a block.

    Attributes:
        columns: Columns of the shard's Parquet file, of the same length: one row for each readable image.
        failed: The reason why an image cannot be read, by name.
        files: Content of files beside it, by extension such as ``.npy``; they are written first.
    """

    columns: dict[str, Any]
    failed: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)


def shard_name(block: int) -> str:
    """Returns the name of a shard, without an extension, relative to the folder of the job."""
    return f"shards/{block:08d}"


def write_shard(folder: Place, block: int, shard: Shard) -> int:
    """Writes a shard: first its files, then the Parquet file that makes it count. Returns the number of its rows.

    Raises:
        CapsmithError: It cannot be written.
    """
    arrow, parquet = import_pyarrow()
    for extension, content in shard.files.items():
        folder.write(shard_name(block) + extension, content)
    table = arrow.table(shard.columns)
    failed = json.dumps(shard.failed, ensure_ascii=True).encode()
    table = table.replace_schema_metadata({_FAILED: failed})
    buffer = io.BytesIO()
    parquet.write_table(table, buffer, compression="zstd")
    folder.write(f"{shard_name(block)}.parquet", buffer.getvalue())
    rows: int = table.num_rows
    return rows


def read_shard(folder: Place, block: int) -> tuple[Any, dict[str, str]]:
    """Returns the table of a shard, and the reasons why images cannot be read.

    Raises:
        CheckpointError: It is damaged.
    """
    arrow, parquet = import_pyarrow()
    name = f"{shard_name(block)}.parquet"
    try:
        table = parquet.read_table(io.BytesIO(folder.read(name)))
        failed = _failures(table.schema.metadata)
    except (arrow.ArrowException, ValueError, KeyError, OSError) as error:
        raise CheckpointError(
            f"{folder}/{name} is damaged ({one_line(error)[:100]}): delete it, and run the same command again"
        ) from error
    return table, failed


def finished(folder: Place, blocks: int) -> np.ndarray:
    """Returns which blocks have a shard, (blocks,) bool."""
    done = np.zeros(blocks, bool)
    for name in names(folder, "shards"):
        match = _NAME.fullmatch(name)
        if match is not None and int(match[1]) < blocks:
            done[int(match[1])] = True
    return done


def counted(folder: Place, blocks: Iterable[int]) -> tuple[int, int]:
    """Returns how many rows some shards have, and how many images could not be read; reads the ends of files only.

    Raises:
        CheckpointError: A shard is damaged.
    """
    rows = failed = 0
    for count, unreadable in _ends(folder, blocks):
        rows, failed = rows + count, failed + len(unreadable)
    return rows, failed


def failures(folder: Place, blocks: Iterable[int]) -> Iterator[tuple[str, str]]:
    """Yields names of images that cannot be read, and the reasons; reads the ends of files only.

    Raises:
        CheckpointError: A shard is damaged.
    """
    for _, unreadable in _ends(folder, blocks):
        yield from unreadable.items()


def _ends(folder: Place, blocks: Iterable[int]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields the number of rows of each shard, and what could not be read."""
    arrow, parquet = import_pyarrow()

    def end(block: int) -> tuple[int, dict[str, str]]:
        name = f"{shard_name(block)}.parquet"
        try:
            with folder.open(name) as file:
                try:
                    metadata = parquet.read_metadata(file)
                except OSError as error:
                    if error.errno or "AWS Error" in str(error):
                        raise  # the disk, or the store; pyarrow raises OSError for content, too
                    raise ValueError(one_line(error)) from error
                return metadata.num_rows, _failures(metadata.metadata)
        except (arrow.ArrowException, ValueError, KeyError) as error:
            raise CheckpointError(
                f"{folder}/{name} is damaged ({one_line(error)[:100]}): delete it, and run the same command again"
            ) from error

    left = iter(blocks)
    with ThreadPoolExecutor(_READERS) as pool:
        while part := list(islice(left, _PART)):
            yield from pool.map(end, part)


def _failures(metadata: dict[bytes, bytes] | None) -> dict[str, str]:
    failed = parse_json((metadata or {})[_FAILED], strict=False)
    if type(failed) is not dict or not all(type(reason) is str for reason in failed.values()):
        raise ValueError("its failures are no texts")
    return failed


def names(folder: Place, inside: str) -> Iterator[str]:
    """Yields the names of the files in a folder of a job, in any order; those of a local one are not held.

    Raises:
        DataError: It cannot be read.
    """
    if folder.local is None:
        yield from (entry.name for entry in folder.entries(inside)[0])
        return
    try:
        with os.scandir(folder.local / inside) as entries:
            yield from (f"{inside}/{entry.name}" for entry in entries if entry.is_file())
    except FileNotFoundError:
        pass
    except OSError as error:
        raise DataError(f"cannot read {folder}/{inside}: {error.strerror or one_line(error)}") from error
