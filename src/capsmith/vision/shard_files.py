"""Features in shards: rows of many files, of which few are open at a time."""

import threading
from collections import OrderedDict
from pathlib import Path

import numpy as np

from capsmith.core.errors import FeatureError
from capsmith.vision.grid_file import GridFile
from capsmith.vision.manifest import Manifest

_OPEN = 256  # files


class ShardFiles:
    """Random access to rows in shards; safe for use by several threads. Memory does not depend on their number.

    Args:
        folder: The store's folder.
        manifest: Its manifest, which names the shards.

    Raises:
        FeatureError: A shard is missing.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.path = folder / "manifest.json"
        self._shape, self._dtype = manifest.shape, manifest.dtype
        self._names = [folder / shard["name"] for shard in manifest.shards]
        self._starts = np.cumsum([0, *(shard["rows"] for shard in manifest.shards)])
        self._offsets: list[int | None] = [None] * len(self._names)  # of shards whose header was checked
        self._open: OrderedDict[int, GridFile] = OrderedDict()
        self._lock = threading.Lock()
        if missing := next((name for name in self._names if not name.is_file()), None):
            raise FeatureError(f"{missing} is missing; delete {folder} and extract again")

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Returns the rows (len(rows), …); each shard is read from its start to its end.

        Raises:
            FeatureError: A shard is missing, damaged or truncated, or does not match the manifest.
        """
        values = np.empty((len(rows), *self._shape), self._dtype)
        order = np.argsort(rows, kind="stable")
        shards = np.searchsorted(self._starts, rows[order], side="right") - 1
        with self._lock:
            found, first = np.unique(shards, return_index=True)
            for shard, chosen in zip(found, np.split(order, first[1:]), strict=False):
                values[chosen] = self._file(int(shard)).read(rows[chosen] - self._starts[shard])
        return values

    def close(self) -> None:
        """Closes the files."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()

    def _file(self, shard: int) -> GridFile:
        if shard not in self._open:
            count = int(self._starts[shard + 1] - self._starts[shard])
            file = GridFile(self._names[shard], self._shape, self._dtype, count, self._offsets[shard])
            self._open[shard], self._offsets[shard] = file, file.start
            if len(self._open) > _OPEN:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(shard)
        return self._open[shard]
