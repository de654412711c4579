"""Saves each extracted batch immediately, so that a killed run loses no completed batch.

During extraction, the folder of the store (see ``store.py``) also holds::

    journal.jsonl       first line: fingerprint, shape, dtype; then one line per batch: rows, ids, sizes, broken
    rows.part.npy       pooled only: the vectors until features.pkl is written (grids are appended to features.npy)

A batch counts once its line is complete. Its features are on disk before that, so a killed run resumes after the last
complete line. Files are written with plain writes, never through a memory map: a full disk is then an error that can be
reported, not a crash.
"""

import contextlib
import errno
import json
import os
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np

from capsmith.core import locks
from capsmith.core.errors import FeatureError
from capsmith.core.readers.json_files import read_json
from capsmith.vision.encoded_batches import as_stored
from capsmith.vision.journal_lines import apply_line, read_lines, rows_by_id
from capsmith.vision.manifest import Manifest
from capsmith.vision.store import FeatureStore, write_pooled

_FILES = ("manifest.json", "features.npy", "features.pkl", "journal.jsonl", "rows.part.npy")


@contextlib.contextmanager
def locked_store(folder: Path) -> Iterator[None]:
    """Creates the folder of a store and locks it against other processes.

    Raises:
        FeatureError: Another process extracts into the folder, it cannot be created, or it holds foreign files.
    """
    _require_ours(folder)
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    busy = f"another process is extracting into {folder}; wait for it, or stop it"
    with locks.locked(folder, busy, FeatureError):
        yield


def _require_ours(folder: Path) -> None:
    """Raises FeatureError if extraction would overwrite files that no extraction wrote."""
    with _writing(folder):
        existing = [name for name in _FILES if os.path.lexists(folder / name)]
        if not existing or (folder / locks.FILE).exists() or "journal.jsonl" in existing:
            return
        if "manifest.json" in existing:
            manifest = read_json(folder / "manifest.json", FeatureError)
            if isinstance(manifest, dict) and "fingerprint" in manifest:
                return
    raise FeatureError(f"{folder} contains a {existing[0]} that no extraction wrote: choose another features.store")


class Journal:
    """Appends batches of features to the folder of a store.

    Args:
        folder: The store's folder, locked.
        manifest: Result of `current_manifest`, or an empty manifest; kept up to date.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder, self.manifest = folder, manifest
        self.pooled = len(manifest.shape) == 1
        self._row_of = rows_by_id(manifest)
        self._header_bytes = len(_header(manifest, 0))
        self._row_bytes = np.dtype(manifest.dtype).itemsize * int(np.prod(manifest.shape))
        self._data_path = folder / ("rows.part.npy" if self.pooled else "features.npy")
        with _writing(folder):
            lines, end = read_lines(folder / "journal.jsonl")
            if not lines:
                self._create_data_file()
                end = 0
            self._data: IO[bytes] = self._data_path.open("r+b")
            if self._data.seek(0, os.SEEK_END) < self._header_bytes + len(manifest.ids) * self._row_bytes:
                self._data.close()
                raise FeatureError(f"{self._data_path} is truncated; delete {folder} and extract again")
            self._lines = (folder / "journal.jsonl").open("r+b" if lines else "w+b")
            self._lines.truncate(end)
            self._lines.seek(end)
            if not lines:
                first = {
                    "fingerprint": manifest.fingerprint,
                    "shape": manifest.shape,
                    "dtype": manifest.dtype,
                    "precision": manifest.precision,
                }
                self._write_line(first)

    def append(
        self, ids: list[str], sizes: list[int], features: np.ndarray, unreadable: dict[str, dict[str, Any]]
    ) -> None:
        """Saves one batch.

        Args:
            ids: The images. If an image already has a row, the row is overwritten.
            sizes: Sizes of their files in bytes.
            features: (len(ids), *shape).
            unreadable: Images found unreadable since the previous batch, as in `Manifest.broken`.

        Raises:
            FeatureError: The disk is full, or the features are not finite. Earlier batches are kept.
        """
        new_rows = iter(range(len(self.manifest.ids), 1 << 62))
        rows = [self._row_of[image] if image in self._row_of else next(new_rows) for image in ids]
        line = {"rows": rows, "ids": ids, "sizes": sizes, "broken": unreadable}
        values = as_stored(features, self.manifest.dtype)
        with _writing(self.folder):
            for row, value in zip(rows, values, strict=True):
                position = self._header_bytes + row * self._row_bytes
                if self._data.tell() != position:
                    self._data.seek(position)
                self._data.write(value.data)
            _sync(self._data)
            self._write_line(line)
        apply_line(self.manifest, self._row_of, line)

    def finish(self) -> None:
        """Turns the saved batches into a finished store, and removes the files of the extraction."""
        rows = len(self.manifest.ids)
        with _writing(self.folder):
            self._data.seek(0)
            self._data.write(_header(self.manifest, rows))
            self._data.truncate(self._header_bytes + rows * self._row_bytes)
            _sync(self._data)
            self.close()
            if self.pooled:
                write_pooled(self.folder, self.manifest, np.load(self._data_path, allow_pickle=False))
            self.manifest.write(self.folder)
            (self.folder / "journal.jsonl").unlink()  # first: without the journal, the part file is ignored
            if self.pooled:
                self._data_path.unlink()

    def close(self) -> None:
        """Closes the files. Complete batches are already on disk."""
        for file in (self._data, self._lines):
            with contextlib.suppress(OSError):  # a full disk has already been reported
                file.close()

    def _create_data_file(self) -> None:
        """Creates the data file of a new journal, with the rows of a finished store."""
        rows = len(self.manifest.ids)
        if not self.pooled and rows:
            return  # rows are appended to the grid file of a finished store
        with self._data_path.open("wb") as file:
            file.write(_header(self.manifest, rows))
            if rows:
                store = FeatureStore.open(self.folder)
                for image in self.manifest.ids:
                    vector = store.gather(store.rows([image])) if image is not None else np.zeros(self.manifest.shape)
                    file.write(np.ascontiguousarray(vector, self.manifest.dtype).data)
            _sync(file)

    def _write_line(self, value: dict[str, Any]) -> None:
        self._lines.write((json.dumps(value, ensure_ascii=True) + "\n").encode())
        _sync(self._lines)


def _header(manifest: Manifest, rows: int) -> bytes:
    """Returns the npy header. NumPy pads it, so its length does not depend on the number of rows."""
    buffer = BytesIO()
    fields = {
        "descr": np.dtype(manifest.dtype).str,
        "fortran_order": False,
        "shape": (rows, *manifest.shape),
    }
    np.lib.format.write_array_header_1_0(buffer, fields)
    return buffer.getvalue()


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Turns an OSError into a FeatureError that names the folder and advises how to continue."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        advice = "; free some space and run again: extraction resumes from here" if full else ""
        reason = "it is a file, not a folder" if isinstance(error, FileExistsError) else error.strerror or error
        raise FeatureError(f"cannot write features to {folder}: {reason}{advice}") from error
