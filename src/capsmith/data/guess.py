"""Finds out how a folder of pictures and captions is laid out, so that nobody has to say it.

Names say little: people call the same column ``image``, ``file_name`` or ``Bild``. So what counts is the content first:
the column whose values are pictures that are there, and the one with the longest text that is no address and not always
the same. Names only decide between columns that could all be it.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ValidationError

from capsmith.data.columns import IMAGE, are_splits, caption_columns, rank, texts_of
from capsmith.data.flickr8k import Flickr8kConfig
from capsmith.data.folder import FolderConfig
from capsmith.data.karpathy import KarpathyConfig
from capsmith.data.notes import note_path, notes_below
from capsmith.data.pictures import Pictures
from capsmith.data.records import DatasetConfig
from capsmith.data.rows import PICTURES
from capsmith.data.splits import SplitLists
from capsmith.data.tables import guess_table, json_table
from capsmith.errors import DataError
from capsmith.readers.json_files import read_json
from capsmith.readers.regular_files import describe_special, open_regular, read_text
from capsmith.schema import explain

_FILES = (".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".json", ".txt", ".token")
_SHEETS = (".xlsx", ".xls", ".ods", ".numbers")
_OFFICIAL = "Flickr8k.token.txt"
_ROWS = 300  # rows that are looked at to tell columns apart
_ENOUGH = 0.5  # share of them whose picture must be there
_FEW = 20  # of them that are read to see whether they speak
_NOTES = 3  # text files called like pictures from which on they are captions
_NUMBERED = re.compile(r"[^\t#]+#\d+\t")  # as rows of Flickr8k's and Flickr30k's token files begin
_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")  # of pictures
_WORDLIKE = (b"RIFF", b"BM")  # of pictures, but of texts too, which hold no zeros


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
        captions: The captions, anywhere: a file, or a folder with a text file for each picture. By default what is in
            the folder and names most of its pictures.

    Raises:
        DataError: No such folder, no pictures, or no file that names them; the message says what was looked at.
    """
    pictures = Pictures(folder)
    if captions is not None:
        return _given(pictures, captions)
    notes = _notes(pictures, [folder, *_folders_in(folder)])
    files = sorted(_files_in(folder), key=lambda path: (len(path.parts), "caption" not in path.name, path))
    if notes is not None:
        called = {PurePosixPath(path).stem for path in pictures.paths}
        files = [path for path in files if path.suffix.lower() != ".txt" or path.stem not in called]
    found: list[Guess] = []
    reasons: list[str] = []
    for path in files:
        try:
            found.append(_layout(pictures, path))
        except DataError as error:
            reasons.append(str(error))
    found += [notes] if notes is not None else []
    if not found:
        raise DataError(_nothing(folder, reasons, len(pictures.paths)))
    best = max(found, key=lambda guess: guess.found)  # the first of several
    others = tuple(str(_name(one)) for one in found if one is not best)
    return Guess(best.config, best.split_given, best.unused, others, best.found)


def _given(pictures: Pictures, captions: Path) -> Guess:
    if captions.is_dir():
        notes = _notes(pictures, [captions])
        if notes is None:
            raise DataError(f"{captions} is a folder without text files called like the pictures: give a file")
        return notes
    if not captions.is_file():
        raise DataError(f"{captions}: {describe_special(captions) or 'no such file'}")
    return _layout(pictures, captions)


def _notes(pictures: Pictures, folders: Sequence[Path]) -> Guess | None:
    """Returns how text files called like pictures are read, if there are any: those below one of these folders."""
    best, most = None, 0.0
    for folder in folders:
        names = list(notes_below(folder))
        some = names[:: -(-len(names) // _ROWS) or 1]
        if len(names) < _NOTES or not _speak(folder, some):
            continue
        below = pictures.below(folder)
        base, found = pictures.base(some, stems=True, near=below)
        in_all = found / len(some) * len(names)
        if found >= _NOTES and in_all >= most:  # the narrower of two that hold the same
            config = FolderConfig(root=pictures.folder, captions=below, images=base)
            best, most = Guess(config, False, found=found), in_all
    return best


def _speak(folder: Path, names: Sequence[str]) -> bool:
    """Returns whether most of some text files have letters in them: labels of detectors are numbers."""
    texts = [_text(note_path(folder, name)) for name in names[:_FEW]]
    return sum(any(map(str.isalpha, text)) for text in texts) > len(texts) / 2


def _name(guess: Guess) -> Path:
    return Path(getattr(guess.config, "captions", ""))


def _nothing(folder: Path, reasons: list[str], count: int) -> str:
    start = f"{folder} has {count:,} pictures, but no file that says what they show: "
    sheets = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in _SHEETS)
    if sheets:
        return f"{start}save {sheets[0]} as CSV (UTF-8), then say --captions FILE"
    if not reasons:
        return f"{start}write a CSV with the columns image and caption, or a .txt for each picture"
    return start + "; ".join(reason[:500] for reason in reasons[:2])


def _layout(pictures: Pictures, path: Path) -> Guess:
    try:
        return _read(pictures, path)
    except ValidationError as error:
        lines = explain(error, FolderConfig)
        raise DataError(f"{path}: {lines[0] if lines else error}: rename it") from error


def _read(pictures: Pictures, path: Path) -> Guess:
    name = pictures.below(path)
    if path.suffix.lower() in _SHEETS:
        raise DataError(f"{path} is a spreadsheet: save it as CSV (UTF-8)")
    if _is_picture(path):
        raise DataError(f"{path} is a picture, not captions: give a table (.csv, .tsv, .json, .jsonl) as --captions")
    if path.suffix.lower() == ".json":
        content = read_json(path, DataError, strict=False)
        entries = content.get("images") if isinstance(content, dict) else None
        if isinstance(entries, list) and any(isinstance(entry, dict) and "sentences" in entry for entry in entries):
            return _karpathy(pictures, path, name, entries)
        return _table(pictures, path, name, content)
    elif path.suffix.lower() in (".txt", ".token"):
        lines = [line for line in _text(path).splitlines()[:_ROWS] if line.strip()]
        if lines and sum(_NUMBERED.match(line) is not None for line in lines) > len(lines) / 2:
            return _numbered(pictures, path, name, lines)
    return _table(pictures, path, name)


def _is_picture(path: Path) -> bool:
    if path.suffix.lower() in PICTURES:
        return True
    try:
        with open_regular(path) as file:
            head = file.read(32)
    except OSError:
        return False  # the reader will say why
    return head.startswith(_BEGINNINGS) or (head.startswith(_WORDLIKE) and b"\0" in head)


def _numbered(pictures: Pictures, path: Path, name: Path, lines: Sequence[str]) -> Guess:
    """Returns how a token file is read, ``picture#number`` first; its splits are drawn where their lists are not."""
    official = SplitLists().model_dump()
    there = [list_name for list_name in official.values() if (path.parent / list_name).is_file()]
    lost = [list_name for list_name in official.values() if list_name not in there]
    if there and lost:
        raise DataError(
            f"{path.parent} has {there[0]}, but not {lost[0]}: put it there, or remove the others to have a split drawn"
        )
    base, found = pictures.base(line.partition("#")[0] for line in lines)
    if found < _ENOUGH * len(lines):
        raise DataError(f"{path}: only {found} of its first {len(lines)} rows name a picture below {pictures.folder}")
    lists = SplitLists(**{split: name.parent / one for split, one in official.items()}) if there else None
    config = Flickr8kConfig(root=pictures.folder, captions=name, images=base, lists=lists)
    return Guess(config, lists is not None, found=found + (len(lines) if path.name == _OFFICIAL else 0))


def _table(pictures: Pictures, path: Path, name: Path, content: Any = None) -> Guess:
    table = guess_table(path) if content is None else json_table(path, content)
    rows = [values for _, values in itertools.islice(table.rows, _ROWS) if values is not None]
    if not rows or not table.columns:
        raise DataError(f"{path} has no rows")
    if pictures.base(table.columns)[1]:
        raise DataError(f"{path}, line 1: the first line is a picture already; put a line above it: image,caption")
    columns = {column: [row.get(column) for row in rows] for column in table.columns}
    for stems in (False, True):
        seen = {column: pictures.base(texts_of(values), stems) for column, values in columns.items()}
        named = [column for column, (_, found) in seen.items() if found >= max(1, _ENOUGH * len(rows))]
        if named:
            break
    else:
        raise DataError(_unmatched(path, pictures, columns, max(seen.values(), key=lambda item: item[1])[1]))
    image = min(named, key=lambda column: (-seen[column][1], *rank(column, IMAGE)))
    split = next((column for column, values in columns.items() if column not in named and are_splits(values)), None)
    captions = caption_columns(columns, [*named, *([split] if split else [])])
    if not captions:
        raise DataError(f"{path} has no column with captions (columns found: {', '.join(table.columns):.100})")
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


def _unmatched(path: Path, pictures: Pictures, columns: dict[str, list[Any]], found: int) -> str:
    example, folder = min(pictures.paths), pictures.folder
    count = len(next(iter(columns.values())))
    if found:
        few = f"only {found} of the first {count} rows name a picture"
        return f"{path}: {few}: write their paths below {folder}, such as {example}"
    stems = {PurePosixPath(one).stem for one in pictures.paths}
    endings = pictures.endings
    for column, values in columns.items():
        texts = texts_of(values)
        if any(text in stems for text in texts):
            ending = PurePosixPath(example).suffix
            return f"{path}: the names in column '{column}' have no ending; write which is meant: {texts[0]}{ending}"
        if texts and sum(text.lower().endswith(endings) for text in texts) > len(texts) / 2:
            called = f"the pictures below {folder} are called like {example}: write them so"
            return f"{path}: column '{column}' has names such as {texts[0]:.60}, but {called}"
    return f"{path}: no column names pictures below {folder}, such as {example} (columns: {', '.join(columns):.80})"


def _karpathy(pictures: Pictures, path: Path, name: Path, entries: Sequence[Any]) -> Guess:
    some = [entry for entry in entries[:_ROWS] if isinstance(entry, dict) and "sentences" in entry]
    names = (str(PurePosixPath(str(entry.get("filepath", "")), str(entry.get("filename")))) for entry in some)
    base, found = pictures.base(names)
    if found < _ENOUGH * max(len(some), 1):
        raise DataError(f"{path}: only {found} of its first {len(some)} pictures are below {pictures.folder}")
    return Guess(KarpathyConfig(root=pictures.folder, captions=name, images=base), True, found=found)


def _folders_in(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]


def _files_in(folder: Path) -> Iterator[Path]:
    """Yields files in a folder and in those right below it that may hold captions."""
    for place in (folder, *_folders_in(folder)):
        try:
            files = list(place.iterdir())
        except OSError:
            continue  # not ours to read
        yield from (path for path in files if path.suffix.lower() in _FILES and path.is_file())


def _text(path: Path) -> str:
    try:
        return read_text(path, errors="replace")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
