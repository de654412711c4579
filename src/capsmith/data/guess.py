"""Finds out how a folder of pictures and captions is laid out, so that nobody has to say it.

Names say little: people call the same column ``image``, ``file_name`` or ``Bild``. So what counts is the content first:
the column whose values are pictures that are there, and the one with the longest text that is no address and not always
the same. Names only decide between columns that could all be it.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ValidationError

from capsmith.data.flickr8k import Flickr8kConfig
from capsmith.data.folder import FolderConfig
from capsmith.data.karpathy import KarpathyConfig
from capsmith.data.pictures import Pictures
from capsmith.data.records import DatasetConfig
from capsmith.data.splits import split_name
from capsmith.data.tables import Table, guess_table
from capsmith.errors import DataError
from capsmith.runs import read_json
from capsmith.schema import explain

_TABLES = (".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".txt")
_SHEETS = (".xlsx", ".xls", ".ods", ".numbers")
_OFFICIAL = "Flickr8k.token.txt"
_ROWS = 300  # rows that are looked at to tell columns apart
_ENOUGH = 0.5  # share of them whose picture must be there
_CAPTION = ("caption", "text", "sentence", "description", "comment", "title", "label", "beschreibung", "légende")
_IMAGE = ("image", "file", "path", "picture", "photo", "img", "name", "bild")
_VARIED = 0.2  # share of a caption column's values that differ, at least


@dataclass(frozen=True)
class Guess:
    """How a folder is laid out.

    Attributes:
        config: The settings that read it.
        split_given: Whether the file says the splits.
        unused: Columns that are not read.
        others: Files that could have been read in its place.
        found: How many of the rows that were looked at have their picture.
    """

    config: DatasetConfig
    split_given: bool
    unused: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    found: int = 0


def guess_dataset(folder: Path, captions: Path | None = None) -> Guess:
    """Returns the settings that read a folder's pictures and captions.

    Args:
        folder: Holds the pictures, at any depth, and the captions.
        captions: The captions, anywhere; by default the file in the folder that names most of its pictures.

    Raises:
        DataError: No such folder, no pictures, or no file that names them; the message says what was looked at.
    """
    pictures = Pictures(folder)
    if captions is not None:
        if not captions.is_file():
            raise DataError(f"{captions}: no such file")
        return _layout(pictures, captions)
    files = sorted(_captions_in(folder), key=lambda path: (len(path.parts), "caption" not in path.name, path))
    found: list[Guess] = []
    reasons: list[str] = []
    for path in files:
        try:
            found.append(_layout(pictures, path))
        except DataError as error:
            reasons.append(str(error))
    if not found:
        raise DataError(_nothing(folder, reasons, len(pictures.paths)))
    best = max(found, key=lambda guess: guess.found)  # the first of several
    others = tuple(str(_name(one)) for one in found if one is not best)
    return Guess(best.config, best.split_given, best.unused, others, best.found)


def _name(guess: Guess) -> Path:
    return Path(getattr(guess.config, "captions", ""))


def _nothing(folder: Path, reasons: list[str], count: int) -> str:
    start = f"{folder} has {count:,} pictures, but no file that says what they show: "
    sheets = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in _SHEETS)
    if sheets:
        return f"{start}save {sheets[0]} as CSV (UTF-8), then say --captions FILE"
    if not reasons:
        return f"{start}write a CSV with the columns image and caption, or say --captions FILE"
    return start + "; ".join(reason[:500] for reason in reasons[:2])


def _layout(pictures: Pictures, path: Path) -> Guess:
    try:
        return _read(pictures, path)
    except ValidationError as error:
        lines = explain(error, FolderConfig)
        raise DataError(f"{path}: {lines[0] if lines else error}: rename it") from error


def _read(pictures: Pictures, path: Path) -> Guess:
    root, name = pictures.folder, pictures.below(path)
    if path.suffix.lower() in _SHEETS:
        raise DataError(f"{path} is a spreadsheet: save it as CSV (UTF-8)")
    if path.suffix.lower() == ".json":
        return _karpathy(pictures, path, name)
    if path.name == _OFFICIAL and name == Path(_OFFICIAL):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[:_ROWS]
        base, found = pictures.base(line.partition("#")[0] for line in lines)
        return Guess(Flickr8kConfig(root=root, images=base), True, found=found + len(lines))
    return _table(pictures, path, name)


def _table(pictures: Pictures, path: Path, name: Path) -> Guess:
    table = guess_table(path)
    rows = [values for _, values in itertools.islice(table.rows, _ROWS) if values is not None]
    if not rows or not table.columns:
        raise DataError(f"{path} has no rows")
    if pictures.base(table.columns)[1]:
        raise DataError(f"{path}, line 1: the first line is a picture already; put a line above it: image,caption")
    columns = {column: [row.get(column) for row in rows] for column in table.columns}
    seen = {column: pictures.base(_texts(values)) for column, values in columns.items()}
    named = [column for column, (_, found) in seen.items() if found >= max(1, _ENOUGH * len(rows))]
    if not named:
        raise DataError(_unmatched(path, pictures, columns, max(seen.values(), key=lambda item: item[1])[1]))
    image = min(named, key=lambda column: (-seen[column][1], *_rank(column, _IMAGE)))
    split = next((column for column, values in columns.items() if column not in named and _are_splits(values)), None)
    captions = _caption_columns(path, table, columns, [*named, *([split] if split else [])])
    base, found = seen[image]
    config = FolderConfig(
        root=pictures.folder,
        captions=name,
        images=base,
        image_column=image,
        caption_column=captions[0] if len(captions) == 1 else captions,
        split_column=None if split == "split" else split,
    )
    unused = tuple(column for column in table.columns if column not in (image, split, *captions))
    return Guess(config, split is not None, unused, found=found)


def _caption_columns(path: Path, table: Table, columns: dict[str, list[Any]], taken: Sequence[str]) -> tuple[str, ...]:
    """Returns the column with the captions; or several where they are numbered, as in ``caption1``."""
    free = {column: values for column, values in columns.items() if column not in taken}
    varied = {column: values for column, values in free.items() if _is_text(values)}
    length = {column: _mean_length(values) for column, values in (varied or free).items()}
    if not any(length.values()):
        raise DataError(f"{path} has no column with captions (columns found: {', '.join(table.columns):.100})")
    known = [column for column in length if _rank(column, _CAPTION)[0] < len(_CAPTION)]
    best = max(known or length, key=lambda column: length[column])
    stem = best.rstrip("0123456789").rstrip("_- ")
    like = tuple(column for column in length if column.rstrip("0123456789").rstrip("_- ") == stem)
    return like if len(like) > 1 else (best,)


def _is_text(values: list[Any]) -> bool:
    """Returns whether values can be captions: no addresses, and not nearly always the same."""
    texts = [text for text in _texts(values) if text.strip()]
    if not texts or sum(text.startswith(("http://", "https://")) for text in texts) > len(texts) / 2:
        return False
    return len(texts) < 10 or len(set(texts)) >= _VARIED * len(texts)


def _rank(column: str, names: Sequence[str]) -> tuple[int, int]:
    """Returns how early a list has a name that stands in the column's; columns with shorter names come first."""
    place = next((n for n, name in enumerate(names) if name in column.lower()), len(names))
    return place, len(column)


def _unmatched(path: Path, pictures: Pictures, columns: dict[str, list[Any]], found: int) -> str:
    example, folder = min(pictures.paths), pictures.folder
    count = len(next(iter(columns.values())))
    if found:
        few = f"only {found} of the first {count} rows name a picture"
        return f"{path}: {few}: write their paths below {folder}, such as {example}"
    stems = {PurePosixPath(one).stem for one in pictures.paths}
    endings = pictures.endings
    for column, values in columns.items():
        texts = _texts(values)
        if any(text in stems for text in texts):
            ending = PurePosixPath(example).suffix
            return f"{path}: the names in column '{column}' have no ending; write {texts[0]}{ending}"
        if texts and sum(text.lower().endswith(endings) for text in texts) > len(texts) / 2:
            called = f"the pictures below {folder} are called like {example}: write them so"
            return f"{path}: column '{column}' has names such as {texts[0]:.60}, but {called}"
    return f"{path}: no column names pictures below {folder}, such as {example} (columns: {', '.join(columns):.80})"


def _karpathy(pictures: Pictures, path: Path, name: Path) -> Guess:
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
    return Guess(KarpathyConfig(root=pictures.folder, captions=name, images=base), True, found=found)


def _captions_in(folder: Path) -> Iterator[Path]:
    """Yields files in a folder and in those right below it that may hold captions."""
    for place in (folder, *(path for path in sorted(folder.iterdir()) if path.is_dir())):
        try:
            files = list(place.iterdir())
        except OSError:
            continue  # not ours to read
        yield from (path for path in files if path.suffix.lower() in (*_TABLES, ".json") and path.is_file())


def _texts(values: Iterable[Any]) -> list[str]:
    return [
        text for value in values for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)
    ]


def _are_splits(values: list[Any]) -> bool:
    known = [split_name(value) if isinstance(value, str) else None if value is not None else "" for value in values]
    return any(known) and None not in known


def _mean_length(values: list[Any]) -> float:
    texts = _texts(values)
    return sum(sum(map(str.isalnum, text)) for text in texts) / max(len(texts), 1)
