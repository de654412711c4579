"""Finds out how a folder of pictures and captions is laid out, so that nobody has to say it.

Names say little: people call the same column ``image``, ``file_name`` or ``Bild``. So what counts is the content: the
column whose values are pictures that are there, and the one with the longest text.
"""

import itertools
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from capsmith.data.flickr8k import Flickr8kConfig
from capsmith.data.folder import FolderConfig
from capsmith.data.karpathy import KarpathyConfig
from capsmith.data.records import DatasetConfig
from capsmith.data.rows import PICTURES, safe_id
from capsmith.data.splits import split_name
from capsmith.data.tables import guess_table
from capsmith.errors import DataError
from capsmith.runs import read_json

_TABLES = (".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".txt")
_SHEETS = (".xlsx", ".xls", ".ods", ".numbers")
_OFFICIAL = "Flickr8k.token.txt"
_ROWS = 300  # rows that are looked at to tell columns apart
_ENOUGH = 0.5  # share of them whose picture must be there


@dataclass(frozen=True)
class _Layout:
    """A way to read a file, and how many of the rows that were looked at have their picture."""

    config: DatasetConfig
    found: int
    rows: int


class Pictures:
    """The pictures below a folder, by their path below it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paths = frozenset(_pictures_below(folder))
        self.folders = sorted({PurePosixPath(path).parent for path in self.paths}, key=lambda p: (len(p.parts), p))

    def base(self, names: Iterable[str]) -> tuple[PurePosixPath, int]:
        """Returns the folder below which most of these names are pictures, and how many are."""
        ids = [name for name in map(safe_id, names) if name]
        places = dict.fromkeys([PurePosixPath("."), *self.folders, *(p for f in self.folders for p in f.parents)])
        counted = ((place, sum((place / name).as_posix() in self.paths for name in ids)) for place in places)
        return max(counted, key=lambda item: item[1])


def guess_dataset(folder: Path, captions: Path | None = None) -> DatasetConfig:
    """Returns the settings that read a folder's pictures and captions.

    Args:
        folder: Holds the pictures, at any depth, and the captions.
        captions: The captions, anywhere; by default the file in the folder that names most of its pictures.

    Raises:
        DataError: No such folder, no pictures, or no file that names them; the message says what was looked at.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    pictures = Pictures(folder)
    if not pictures.paths:
        raise DataError(f"{folder} has no pictures ({', '.join(sorted(PICTURES)[:6])}, …), nor have the folders in it")
    if captions is not None:
        if not captions.is_file():
            raise DataError(f"{captions}: no such file")
        return _layout(pictures, captions).config
    files = sorted(_captions_in(folder))
    found, reasons = [], []
    for path in files:
        try:
            found.append(_layout(pictures, path))
        except DataError as error:
            reasons.append(str(error))
    if not found:
        raise DataError(_nothing(folder, files, reasons, len(pictures.paths)))
    return max(found, key=lambda layout: layout.found).config


def _nothing(folder: Path, files: list[Path], reasons: list[str], count: int) -> str:
    start = f"{folder} has {count:,} pictures, but no file that says what they show: "
    sheets = [path.name for path in folder.iterdir() if path.suffix.lower() in _SHEETS]
    if sheets and not reasons:
        return f"{start}save {sheets[0]} as CSV (UTF-8), then say --captions FILE"
    if not files:
        return f"{start}write a CSV with the columns image and caption, or say --captions FILE"
    return f"{start}{reasons[0]}" if len(reasons) == 1 else f"{start}looked at {', '.join(p.name for p in files[:5])}"


def _layout(pictures: Pictures, path: Path) -> _Layout:
    root, name = pictures.folder, _below(path, pictures.folder)
    if path.suffix.lower() == ".json":
        return _karpathy(pictures, path, name)
    if path.name == _OFFICIAL and path.parent.resolve() == root.resolve():
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[:_ROWS]
        base, found = pictures.base(line.partition("#")[0] for line in lines)
        return _Layout(Flickr8kConfig(root=root, images=Path(base)), found + len(lines), len(lines))
    if path.suffix.lower() in _SHEETS:
        raise DataError(f"{path} is a spreadsheet: save it as CSV (UTF-8)")
    return _table(pictures, path, name)


def _table(pictures: Pictures, path: Path, name: Path) -> _Layout:
    table = guess_table(path)
    rows = [values for _, values in itertools.islice(table.rows, _ROWS) if values is not None]
    columns = {column: [row.get(column) for row in rows] for column in table.columns}
    if not rows:
        raise DataError(f"{path} has no rows")
    _require_header(path, pictures, table.columns)
    seen = {column: pictures.base(_texts(values)) for column, values in columns.items()}
    image = max(seen, key=lambda column: seen[column][1])
    base, found = seen[image]
    if found < _ENOUGH * len(rows):
        raise DataError(_unmatched(path, pictures, rows, seen, image))
    split = next((column for column, values in columns.items() if column != image and _are_splits(values)), None)
    length = {c: _mean_length(v) for c, v in columns.items() if c not in (image, split)}
    if not length or max(length.values()) == 0:
        raise DataError(f"{path} has no column with captions (columns found: {', '.join(table.columns):.100})")
    caption = max(length, key=lambda column: length[column])
    config = FolderConfig(
        root=pictures.folder,
        captions=name,
        images=Path(base),
        image_column=image,
        caption_column=caption,
        split_column=None if split == "split" else split,
    )
    return _Layout(config, found, len(rows))


def _require_header(path: Path, pictures: Pictures, columns: tuple[str, ...]) -> None:
    if pictures.base(columns)[1]:
        raise DataError(f"{path}, line 1: the first line is a picture already; put a line above it: image,caption")


def _unmatched(
    path: Path, pictures: Pictures, rows: list[dict[str, Any]], seen: dict[str, tuple[PurePosixPath, int]], image: str
) -> str:
    found = seen[image][1]
    if found:
        return f"{path}: only {found} of the first {len(rows)} rows name a picture below {pictures.folder}"
    stems = {PurePosixPath(p).stem for p in pictures.paths}
    for column in seen:
        if any(str(row.get(column)) in stems for row in rows):
            ending = Counter(PurePosixPath(p).suffix for p in pictures.paths).most_common(1)[0][0]
            return f"{path}: the names in column '{column}' have no ending; write {rows[0][column]}{ending}"
    example = min(pictures.paths)
    return (
        f"{path}: no column names pictures below {pictures.folder}, such as {example} (columns: {', '.join(seen):.80})"
    )


def _karpathy(pictures: Pictures, path: Path, name: Path) -> _Layout:
    content = read_json(path, DataError)
    entries = content.get("images") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not entries:
        raise DataError(
            f"{path} has no list 'images': JSON is read as Karpathy's dataset_*.json has it, or as JSON lines"
        )
    some = [entry for entry in entries[:_ROWS] if isinstance(entry, dict) and "sentences" in entry]
    if not some:
        raise DataError(f"{path} has pictures without 'sentences': is it COCO's own annotation file?")
    names = (str(PurePosixPath(str(entry.get("filepath", "")), str(entry.get("filename")))) for entry in some)
    base, found = pictures.base(names)
    if found < _ENOUGH * len(some):
        raise DataError(f"{path}: only {found} of its first {len(some)} pictures are below {pictures.folder}")
    return _Layout(KarpathyConfig(root=pictures.folder, captions=name, images=Path(base)), found, len(some))


def _below(path: Path, folder: Path) -> Path:
    """Returns a path as a config has it: below the root where it is there, else absolute."""
    full, root = path.resolve(), folder.resolve()
    return full.relative_to(root) if full.is_relative_to(root) else full


def _captions_in(folder: Path) -> Iterator[Path]:
    """Yields files in a folder and in those right below it that may hold captions."""
    for place in (folder, *(p for p in sorted(folder.iterdir()) if p.is_dir())):
        for path in place.iterdir():
            if path.is_file() and path.suffix.lower() in (*_TABLES, ".json"):
                yield path


def _pictures_below(folder: Path) -> Iterator[str]:
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        below = Path(place).relative_to(folder)
        for name in files:
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in PICTURES:
                yield safe_id((below / name).as_posix()) or name


def _texts(values: list[Any]) -> list[str]:
    return [value for value in values if isinstance(value, str)]


def _are_splits(values: list[Any]) -> bool:
    return all(isinstance(value, str) and value.strip() and split_name(value) for value in values)


def _mean_length(values: list[Any]) -> float:
    texts = [text for value in values for text in (value if isinstance(value, list) else [value])]
    return sum(sum(map(str.isalpha, text)) for text in texts if isinstance(text, str)) / max(len(texts), 1)
