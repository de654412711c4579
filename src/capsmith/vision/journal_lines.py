"""Reads the journal of an unfinished extraction, and replays it on the manifest of the store."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from capsmith.core.errors import FeatureError, one_line
from capsmith.core.readers.file_schema import FileSchema
from capsmith.core.readers.json_files import parse_json
from capsmith.core.readers.regular_files import read_bytes
from capsmith.vision.manifest import FileBytes, Manifest, SavedHead, SavedNote


class SavedBatch(FileSchema):
    """A line of the journal after the first."""

    rows: list[Annotated[int, Field(ge=0, lt=2**48)]]
    ids: list[str]
    sizes: list[FileBytes]
    broken: dict[str, SavedNote]

    @model_validator(mode="after")
    def _rows_agree(self) -> "SavedBatch":
        if not len(set(self.rows)) == len(set(self.ids)) == len(self.rows) == len(self.ids) == len(self.sizes):
            raise ValueError("rows, ids and sizes must have one distinct entry for each image")
        return self


def current_manifest(folder: Path, fingerprint: dict[str, Any]) -> Manifest | None:
    """Returns the manifest of a store, including unfinished extraction; None if no extraction has started there.

    Args:
        folder: The store's folder.
        fingerprint: The encoder's fingerprint.

    Raises:
        FeatureError: The features belong to another encoder, or the manifest or journal is damaged.
    """
    manifest = Manifest.read(folder) if (folder / "manifest.json").exists() else None
    path, advice = folder / "journal.jsonl", f"delete {folder} and extract again"
    lines, _ = read_lines(path)
    if lines:
        head = SavedHead.check(lines[0], path, FeatureError, advice, "is damaged in line 1")
        if manifest is None:
            manifest = Manifest(**head.model_dump(exclude={"shape"}), shape=tuple(head.shape))
        elif (manifest.shape, manifest.dtype) != (tuple(head.shape), head.dtype):
            raise FeatureError(f"{path} is damaged: its first line belongs to another store; {advice}")
    if manifest is None:
        return None
    manifest.check(fingerprint, folder)
    row_of = rows_by_id(manifest)
    for number, line in enumerate(lines[1:], start=2):
        batch = SavedBatch.check(line, path, FeatureError, advice, f"is damaged in line {number}")
        try:
            apply_line(manifest, row_of, batch.model_dump())
        except ValueError as error:
            raise FeatureError(f"{path} is damaged in line {number}: {one_line(error)}; {advice}") from error
    return manifest


def rows_by_id(manifest: Manifest) -> dict[str, int]:
    """Returns the row of each image that has features."""
    return {image: row for row, image in enumerate(manifest.ids) if image is not None}


def apply_line(manifest: Manifest, row_of: dict[str, int], line: dict[str, Any]) -> None:
    """Updates a manifest, and its rows by id, with one line of the journal.

    Raises:
        ValueError: A row would leave a gap.
    """
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


def read_lines(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Returns the journal's lines before the first torn or damaged one, and the offset of their end in bytes.

    Raises:
        FeatureError: The file cannot be read, or a complete line is not the journal's.
    """
    lines: list[dict[str, Any]] = []
    end = 0
    try:
        content = read_bytes(path)
    except FileNotFoundError:
        return lines, end
    except OSError as error:
        raise FeatureError(f"cannot read {path}: {error.strerror or error}") from error
    for raw in content.splitlines(keepends=True):
        try:
            line = _parse_line(raw, f"{path} is damaged in line {len(lines) + 1}")
        except ValueError:
            break
        if not raw.endswith(b"\n") or not isinstance(line, dict):
            break
        lines.append(line)
        end += len(raw)
    return lines, end


def _parse_line(raw: bytes, damaged: str) -> Any:
    """Parses a line; raises ValueError if it is torn, and FeatureError if it is valid but foreign JSON."""
    try:
        return parse_json(raw)
    except ValueError as error:
        parse_json(raw, strict=False)
        raise FeatureError(f"{damaged}: {one_line(error)}; delete the folder and extract again") from error
