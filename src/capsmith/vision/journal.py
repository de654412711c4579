"""What extraction has done so far, kept so that a killed run loses nothing and redoes nothing.

Beside the finished store (see ``store.py``) a folder under extraction holds::

    journal.jsonl       first line: fingerprint, shape, dtype; then one line a batch: rows, ids, sizes, broken
    rows.part.npy       pooled only: the vectors until features.pkl is written (grids grow in features.npy itself)

A batch counts when its line is complete. Its features are on the disk before that, so a run killed anywhere goes on
from the last whole line. Files are written with plain writes, never through a memory map: a full disk is then an error
that can be reported and not a crash.
"""

import contextlib
import errno
import json
import os
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import IO, Annotated, Any

import numpy as np
from pydantic import Field, model_validator

from capsmith.core import locks
from capsmith.core.errors import FeatureError, one_line
from capsmith.core.readers.json_files import FileSchema, parse_json, read_json
from capsmith.core.readers.regular_files import read_bytes
from capsmith.vision.manifest import FileBytes, Manifest, SavedHead, SavedNote
from capsmith.vision.store import FeatureStore, write_pooled

_FILES = ("manifest.json", "features.npy", "features.pkl", "journal.jsonl", "rows.part.npy")


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Makes the folder, and holds it against other processes for the duration.

    Raises:
        FeatureError: Another process extracts into it, or it cannot be made.
    """
    _require_ours(folder)
    with _reported(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with locks.locked(folder, f"another process is extracting into {folder}; wait for it, or stop it", FeatureError):
        yield


def _require_ours(folder: Path) -> None:
    """Raises FeatureError when files that no extraction left there would be written over."""
    with _reported(folder):
        there = [name for name in _FILES if os.path.lexists(folder / name)]
        if not there or (folder / locks.FILE).exists() or "journal.jsonl" in there:
            return
        if "manifest.json" in there:
            manifest = read_json(folder / "manifest.json", FeatureError)
            if isinstance(manifest, dict) and "fingerprint" in manifest:
                return
    raise FeatureError(f"{folder} holds a {there[0]} that no extraction wrote: name another features.store")


def known(folder: Path, fingerprint: dict[str, Any]) -> Manifest | None:
    """Returns all that a folder holds, finished or not; None where extraction has not begun.

    Args:
        folder: The store's folder.
        fingerprint: The encoder's.

    Raises:
        FeatureError: Another encoder made what is there, or the manifest is damaged.
    """
    manifest = Manifest.read(folder) if (folder / "manifest.json").exists() else None
    path, advice = folder / "journal.jsonl", f"delete {folder} and extract again"
    lines, _ = _whole_lines(path)
    if lines:
        head = SavedHead.check(lines[0], path, FeatureError, advice, "is damaged in line 1")
        if manifest is None:
            manifest = Manifest(**head.model_dump(exclude={"shape"}), shape=tuple(head.shape))
        elif (manifest.shape, manifest.dtype) != (tuple(head.shape), head.dtype):
            raise FeatureError(f"{path} is damaged: its first line is of another store; {advice}")
    if manifest is None:
        return None
    manifest.check(fingerprint, folder)
    row_of = _rows_by_id(manifest)
    for number, line in enumerate(lines[1:], start=2):
        batch = SavedBatch.check(line, path, FeatureError, advice, f"is damaged in line {number}")
        try:
            _apply(manifest, row_of, batch.model_dump())
        except ValueError as error:
            raise FeatureError(f"{path} is damaged in line {number}: {one_line(error)}; {advice}") from error
    return manifest


class SavedBatch(FileSchema):
    """A line of the journal after the first."""

    rows: list[Annotated[int, Field(ge=0, lt=2**48)]]
    ids: list[str]
    sizes: list[FileBytes]
    broken: dict[str, SavedNote]

    @model_validator(mode="after")
    def _rows_agree(self) -> "SavedBatch":
        if not len(set(self.rows)) == len(set(self.ids)) == len(self.rows) == len(self.ids) == len(self.sizes):
            raise ValueError("rows, ids and sizes are not one for each image")
        return self


class Journal:
    """Appends batches of features to a folder.

    Args:
        folder: The store's folder, locked.
        manifest: What `known` returned, or an empty one; kept up to date.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder, self.manifest = folder, manifest
        self.pooled = len(manifest.shape) == 1
        self._row_of = _rows_by_id(manifest)
        self._header_bytes = len(_header(manifest, 0))
        self._row_bytes = np.dtype(manifest.dtype).itemsize * int(np.prod(manifest.shape))
        self._data_path = folder / ("rows.part.npy" if self.pooled else "features.npy")
        with _reported(folder):
            lines, end = _whole_lines(folder / "journal.jsonl")
            if not lines:
                self._begin()
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

    def append(self, ids: list[str], sizes: list[int], features: np.ndarray, broken: dict[str, dict[str, Any]]) -> None:
        """Keeps one batch for good.

        Args:
            ids: The images; one that has a row already gets its row overwritten.
            sizes: Bytes of their files.
            features: (len(ids), *shape).
            broken: Images found unreadable since the last batch, as in `Manifest`.

        Raises:
            FeatureError: The disk is full, or the features are not finite; what was kept before stays.
        """
        fresh = iter(range(len(self.manifest.ids), 1 << 62))
        rows = [self._row_of[image] if image in self._row_of else next(fresh) for image in ids]
        line = {"rows": rows, "ids": ids, "sizes": sizes, "broken": broken}
        with np.errstate(over="ignore"):
            values = np.ascontiguousarray(features, self.manifest.dtype)
        if not np.isfinite(values).all():
            raise FeatureError(
                f"the encoder gives features up to {np.abs(features).max():g}, not numbers or too large for "
                f"{self.manifest.dtype}: do its weights and preprocessing belong together?"
            )
        with _reported(self.folder):
            for row, value in zip(rows, values, strict=True):
                position = self._header_bytes + row * self._row_bytes
                if self._data.tell() != position:
                    self._data.seek(position)
                self._data.write(value.data)
            _sync(self._data)
            self._write_line(line)
        _apply(self.manifest, self._row_of, line)

    def finish(self) -> None:
        """Turns what was kept into a finished store and removes extraction's own files."""
        rows = len(self.manifest.ids)
        with _reported(self.folder):
            self._data.seek(0)
            self._data.write(_header(self.manifest, rows))
            self._data.truncate(self._header_bytes + rows * self._row_bytes)
            _sync(self._data)
            self.close()
            if self.pooled:
                write_pooled(self.folder, self.manifest, np.load(self._data_path, allow_pickle=False))
            self.manifest.write(self.folder)
            (self.folder / "journal.jsonl").unlink()  # first: without it the part file means nothing
            if self.pooled:
                self._data_path.unlink()

    def close(self) -> None:
        """Closes the files; whole batches are on the disk already."""
        for file in (self._data, self._lines):
            with contextlib.suppress(OSError):  # a full disk has been reported by then
                file.close()

    def _begin(self) -> None:
        """Makes the data file that an absent journal starts from."""
        rows = len(self.manifest.ids)
        if not self.pooled and rows:
            return  # a finished grid file grows in place
        with self._data_path.open("wb") as file:
            file.write(_header(self.manifest, rows))
            if rows:
                done = FeatureStore.open(self.folder)
                for image in self.manifest.ids:
                    vector = done.gather(done.rows([image])) if image is not None else np.zeros(self.manifest.shape)
                    file.write(np.ascontiguousarray(vector, self.manifest.dtype).data)
            _sync(file)

    def _write_line(self, value: dict[str, Any]) -> None:
        self._lines.write((json.dumps(value, ensure_ascii=True) + "\n").encode())
        _sync(self._lines)


def _rows_by_id(manifest: Manifest) -> dict[str, int]:
    return {image: row for row, image in enumerate(manifest.ids) if image is not None}


def _apply(manifest: Manifest, row_of: dict[str, int], line: dict[str, Any]) -> None:
    """Brings a manifest, and its rows by id, up to date with one line of the journal."""
    for image, note in line["broken"].items():
        manifest.broken[image] = note
        if (row := row_of.pop(image, None)) is not None:
            manifest.ids[row] = None
    for row, image, size in zip(line["rows"], line["ids"], line["sizes"], strict=True):
        grow = row + 1 - len(manifest.ids)
        if not 0 <= row < len(manifest.ids) + len(line["rows"]):
            raise ValueError(f"row {row} leaves a gap")
        manifest.ids.extend([None] * grow)
        manifest.sizes.extend([-1] * grow)
        manifest.ids[row], manifest.sizes[row] = image, size
        row_of[image] = row
        manifest.broken.pop(image, None)


def _whole_lines(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Returns the journal's lines up to the first torn or damaged one, and the offset of its end."""
    lines: list[dict[str, Any]] = []
    end = 0
    try:
        data = read_bytes(path)
    except FileNotFoundError:
        return lines, end
    except OSError as error:
        raise FeatureError(f"cannot read {path}: {error.strerror or error}") from error
    for raw in data.splitlines(keepends=True):
        try:
            line = _parsed(raw, f"{path} is damaged in line {len(lines) + 1}")
        except ValueError:
            break
        if not raw.endswith(b"\n") or not isinstance(line, dict):
            break
        lines.append(line)
        end += len(raw)
    return lines, end


def _parsed(raw: bytes, damaged: str) -> Any:
    """Reads a line; raises ValueError where it is torn, and FeatureError where it is whole but none of ours."""
    try:
        return parse_json(raw)
    except ValueError as error:
        parse_json(raw, strict=False)
        raise FeatureError(f"{damaged}: {one_line(error)}; delete the folder and extract again") from error


def _header(manifest: Manifest, rows: int) -> bytes:
    """The npy header; numpy pads it so that its length does not depend on the number of rows."""
    buffer = BytesIO()
    described = {
        "descr": np.dtype(manifest.dtype).str,
        "fortran_order": False,
        "shape": (rows, *manifest.shape),
    }
    np.lib.format.write_array_header_1_0(buffer, described)
    return buffer.getvalue()


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


@contextlib.contextmanager
def _reported(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        advice = "; make room and run again, it goes on from here" if full else ""
        why = "it is a file, not a folder" if isinstance(error, FileExistsError) else error.strerror or error
        raise FeatureError(f"cannot write features to {folder}: {why}{advice}") from error
