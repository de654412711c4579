"""The work of ``capsmith index``: a block of images becomes a shard of hashes, looks and vectors.

A shard has a row for each image of its block, in order::

    name              bytes: path relative to the folder of the images
    size, mtime       of the file, taken before it was read
    error             why it cannot be read; empty otherwise
    hash              32 bytes: SHA-256 of the file
    look              hash of its look
    encoded           whether it has vectors: contents that the index knows are not encoded again
    semantic, visual  vectors, float16 as the index keeps them; zeros without

It holds no names that the driver would trust: see ``deploy/search/sharded.py``.
"""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from capsmith.core.errors import ConfigError, ImageError, one_line
from capsmith.deploy.batch.inputs import NamedImage, require_input
from capsmith.deploy.batch.plan import import_pyarrow
from capsmith.deploy.batch.shards import Shard
from capsmith.deploy.folder.journal import Stamp
from capsmith.deploy.folder.pipeline import KERAS_BATCH
from capsmith.deploy.folder.selection import Item
from capsmith.deploy.search.encoding import Encoded, encode_images
from capsmith.deploy.search.vector_file import DTYPE, KINDS
from capsmith.retrieval.embedder import Embedder

_GONE = Stamp(0, 0)
_HASH = 32  # bytes


@dataclass(frozen=True)
class VectorWork:
    """Computes vectors of images in a folder that every worker sees.

    Attributes:
        root: Absolute path of the folder.
        model: Fingerprint of the model.
        runs: Absolute paths of its runs.
        engine: Its engine instead, such as ``clip:PRESET``.
        plugins: Plugins that it needs.
        known: File of the hashes whose vectors are known already; it need not exist.
        batch_size: Images that are encoded at once.
        prepare: Called before the first image is encoded: it may import Keras.
    """

    root: str
    model: str
    runs: tuple[str, ...] = ()
    engine: str | None = None
    plugins: tuple[str, ...] = ()
    known: str = ""
    batch_size: int = KERAS_BATCH
    prepare: Callable[[], None] | None = None
    title: str = "vectors"

    @classmethod
    def of(
        cls,
        root: Path,
        embedder: Embedder,
        runs: Sequence[str | Path],
        engine: str | None,
        plugins: Sequence[str] = (),
        batch_size: int = KERAS_BATCH,
        prepare: Callable[[], None] | None = None,
    ) -> "VectorWork":
        """Returns the work of a model; paths become absolute.

        Raises:
            ConfigError: Nothing says where workers find the model.
        """
        if not runs and engine is None:
            raise ConfigError("a sharded job loads the model in its workers: name it with runs=, or engine=")
        kind, _, model = (engine or "").partition(":")
        return cls(
            os.path.abspath(root),
            embedder.fingerprint,
            tuple(os.path.abspath(run) for run in runs),
            f"{kind}:{_absolute(model)}" if engine else None,
            tuple(map(_absolute, plugins)),
            batch_size=batch_size,
            prepare=prepare,
        )

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What vectors depend on besides the images."""
        return {"model": self.model}

    def load(self) -> Embedder:
        """Loads the model.

        Raises:
            CapsmithError: It cannot be loaded.
        """
        from capsmith.core.plugins import load_plugin
        from capsmith.models.embedders import load_embedder

        for plugin in self.plugins:
            load_plugin(plugin)
        return load_embedder(self.runs or None, self.engine)

    def open(self, threads: int) -> "VectorWorker":
        """Loads the model for a worker.

        Raises:
            ConfigError: It is another model than the driver's.
            CapsmithError: It cannot be loaded.
        """
        embedder = self.load()
        if embedder.fingerprint != self.model:
            raise ConfigError(f"{embedder.name} is another model here than in the command: copy it to every node")
        return VectorWorker(self, embedder, threads)


def _absolute(name: str) -> str:
    return os.path.abspath(name) if os.path.exists(name) else name


class VectorWorker:
    """Computes blocks of images.

    Args:
        work: The work.
        embedder: The model.
        threads: Threads that decode.
    """

    def __init__(self, work: VectorWork, embedder: Embedder, threads: int) -> None:
        self.work, self.embedder, self.threads = work, embedder, threads
        self._known = KnownHashes(Path(work.known)) if work.known else frozenset()

    def __call__(self, images: Iterator[NamedImage]) -> Shard:
        """Computes a block."""
        items = [Item(Path(self.work.root, image.name), image.name) for image in images]
        stamps = [Stamp.of(item.path) or _GONE for item in items]
        work = self.work
        found: list[Encoded] = []
        for part in encode_images(
            self.embedder, items, self._known, self.threads, work.batch_size, work.prepare, fill=True
        ):
            found += part
        if any(one.error is not None for one in found):
            require_input(work.root)
        return _shard(found, stamps, (self.embedder.size, self.embedder.visual_size))


class KnownHashes(Collection[bytes]):
    """Hashes in a file that is mapped into memory.

    Args:
        path: The file; without one there are none.
    """

    def __init__(self, path: Path) -> None:
        self._hashes = np.load(path, mmap_mode="r", allow_pickle=False) if path.exists() else np.empty(0, f"S{_HASH}")

    @staticmethod
    def write(path: Path, hashes: Collection[bytes]) -> None:
        """Writes a file of hashes."""
        with path.open("wb") as file:
            np.save(file, np.sort(np.array(list(hashes), f"S{_HASH}")))

    def __len__(self) -> int:
        return len(self._hashes)

    def __iter__(self) -> Iterator[bytes]:
        return (bytes(hash).ljust(_HASH, b"\0") for hash in self._hashes)

    def __contains__(self, hash: object) -> bool:
        wanted = np.array(hash, f"S{_HASH}")
        place = int(np.searchsorted(self._hashes, wanted))
        return place < len(self._hashes) and bool(self._hashes[place] == wanted)


def _shard(found: list[Encoded], stamps: list[Stamp], sizes: tuple[int, int]) -> Shard:
    arrow, _ = import_pyarrow()
    columns: dict[str, Any] = {
        "name": arrow.array([os.fsencode(one.item.name) for one in found], arrow.binary()),
        "size": arrow.array([stamp.size for stamp in stamps], arrow.int64()),
        "mtime": arrow.array([stamp.mtime for stamp in stamps], arrow.int64()),
        "error": arrow.array([_error(one).encode("utf-8", "backslashreplace").decode() for one in found]),
        "hash": arrow.array([one.hash or bytes(_HASH) for one in found], arrow.binary(_HASH)),
        "look": arrow.array([one.look for one in found], arrow.uint64()),
        "encoded": arrow.array([one.vectors is not None for one in found], arrow.bool_()),
    }
    for place, (kind, size) in enumerate(zip(KINDS, sizes, strict=True)):
        zeros = np.zeros(size, DTYPE)
        rows = [zeros if one.vectors is None else one.vectors[place].astype(DTYPE) for one in found]
        flat = arrow.array(np.concatenate(rows) if rows else zeros[:0])
        columns[kind] = arrow.FixedSizeListArray.from_arrays(flat, size)
    return Shard(columns)


def _error(image: Encoded) -> str:
    if image.error is None and image.hash is None:
        return "unreadable"
    return "" if image.error is None else one_line(image.error).removeprefix(f"{image.item.path}: ")


def encoded_rows(table: Any, root: Path, sizes: tuple[int, int]) -> Iterator[Encoded]:
    """Yields the rows of a shard.

    Args:
        table: The table.
        root: The folder of the images.
        sizes: Dimensions of semantic and visual vectors.

    Raises:
        ValueError: It is not such a shard.
    """
    plain = ("name", "size", "mtime", "error", "hash", "look", "encoded")
    try:
        rows = zip(*(table.column(name).to_pylist() for name in plain), strict=True)
        vectors = zip(*(_vectors(table, *one) for one in zip(KINDS, sizes, strict=True)), strict=True)
        for (name, size, mtime, error, hash, look, encoded), pair in zip(rows, vectors, strict=True):
            item = Item(root / os.fsdecode(name), os.fsdecode(name))
            stamp = Stamp(int(size), int(mtime))
            if error:
                yield Encoded(item, error=ImageError(f"{item.path}: {error}"), stamp=stamp)
                continue
            if len(hash) != _HASH or not 0 <= look < 1 << 64 or not all(np.isfinite(part).all() for part in pair):
                raise ValueError("its hashes or vectors make no sense")
            yield Encoded(item, hash, look, pair if encoded else None, stamp=stamp)
    except (TypeError, KeyError) as error:
        raise ValueError(one_line(error)) from error


def _vectors(table: Any, kind: str, size: int) -> np.ndarray:
    arrow, _ = import_pyarrow()
    column = table.column(kind).combine_chunks()
    if column.type != arrow.list_(arrow.float16(), size) or column.null_count:
        raise ValueError(f"{kind} are no vectors of {size} numbers")
    found: np.ndarray = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, size)
    return found
