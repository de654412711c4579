"""Finds out how a folder of images and captions is laid out, so that nobody has to say it.

Names say little: people call the same column ``image``, ``file_name`` or ``Bild``. So what counts is the content first:
the column whose values are images that are there, and the one with the longest text that is no address and not always
the same. Names only decide between columns that could all be it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ValidationError

from capsmith.core.errors import DataError
from capsmith.core.readers.json_files import parse_json
from capsmith.core.readers.regular_files import describe_special, open_regular, read_bytes
from capsmith.core.readers.text_files import read_text
from capsmith.core.schema import explain
from capsmith.data.flickr8k import Flickr8kConfig
from capsmith.data.folder import FolderConfig
from capsmith.data.image_folder import ImageFolder
from capsmith.data.karpathy import KarpathyConfig
from capsmith.data.onboarding.known_images import KnownImages
from capsmith.data.onboarding.table_layout import Layout, json_layout, table_layout
from capsmith.data.record_builder import IMAGES
from capsmith.data.records import DatasetConfig
from capsmith.data.sidecars import note_path, notes_below
from capsmith.data.splits import SplitLists
from capsmith.data.tables import json_table, open_json

_FILES = (".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".json", ".txt", ".token")
_SHEETS = (".xlsx", ".xls", ".ods", ".numbers")
_OFFICIAL = "Flickr8k.token.txt"
_ROWS = 300  # rows that are looked at to tell columns apart
_ENOUGH = 0.5  # share of them whose image must be there
_FEW = 20  # of them that are read to see whether they speak
_NOTES = 3  # text files called like images from which on they are captions
_NUMBERED = re.compile(r"[^\t#]+#\d+\t")  # as rows of Flickr8k's and Flickr30k's token files begin
_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")  # of images
_WORDLIKE = (b"RIFF", b"BM")  # of images, but of texts too, which hold no zeros


@dataclass(frozen=True)
class Guess:
    """How a folder is laid out.

    Attributes:
        config: The settings that read it.
        split_given: Whether the file says the splits.
        unused: Columns that are not read.
        others: Files that could have been read in its place.
        found: How many of the rows that were looked at have their image.
    """

    config: DatasetConfig
    split_given: bool
    unused: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    found: int = 0


def guess_dataset(folder: Path, captions: Path | None = None) -> Guess:
    """Returns the settings that read a folder's images and captions.

    Args:
        folder: Holds the images, at any depth, and the captions.
        captions: The captions, anywhere: a file, or a folder with a text file for each image. By default what is in
            the folder and names most of its images.

    Raises:
        DataError: No such folder, no images, or no file that names them; the message says what was looked at.
    """
    images = ImageFolder(folder)
    if captions is not None:
        return _given(images, captions)
    notes = _notes(images, [folder, *_folders_in(folder)])
    files = sorted(_files_in(folder), key=lambda path: (len(path.parts), "caption" not in path.name, path))
    if notes is not None:
        called = {PurePosixPath(path).stem for path in images.paths}
        files = [path for path in files if path.suffix.lower() != ".txt" or path.stem not in called]
    found: list[Guess] = []
    reasons: list[str] = []
    for path in files:
        try:
            found.append(_layout(images, path))
        except DataError as error:
            reasons.append(str(error))
    found += [notes] if notes is not None else []
    if not found:
        raise DataError(_nothing(folder, reasons, len(images.paths)))
    best = max(found, key=lambda guess: guess.found)  # the first of several
    others = tuple(str(_name(one)) for one in found if one is not best)
    return Guess(best.config, best.split_given, best.unused, others, best.found)


def _given(images: ImageFolder, captions: Path) -> Guess:
    if captions.is_dir():
        notes = _notes(images, [captions])
        if notes is None:
            raise DataError(f"{captions} is a folder without text files called like the images: give a file")
        return notes
    if not captions.is_file():
        raise DataError(f"{captions}: {describe_special(captions) or 'no such file'}")
    return _layout(images, captions)


def _notes(images: ImageFolder, folders: Sequence[Path]) -> Guess | None:
    """Returns how text files called like images are read, if there are any: those below one of these folders."""
    best, most = None, 0.0
    for folder in folders:
        names = list(notes_below(folder))
        some = names[:: -(-len(names) // _ROWS) or 1]
        if len(names) < _NOTES or not _speak(folder, some):
            continue
        below = images.below(folder)
        base, found = images.base(some, stems=True, near=below)
        in_all = found / len(some) * len(names)
        if found >= _NOTES and in_all >= most:  # the narrower of two that hold the same
            config = FolderConfig(root=images.folder, captions=below, images=base)
            best, most = Guess(config, False, found=found), in_all
    return best


def _speak(folder: Path, names: Sequence[str]) -> bool:
    """Returns whether most of some text files have letters in them: labels of detectors are numbers."""
    texts = [_text(note_path(folder, name)) for name in names[:_FEW]]
    return sum(any(map(str.isalpha, text)) for text in texts) > len(texts) / 2


def _name(guess: Guess) -> Path:
    return Path(getattr(guess.config, "captions", ""))


def _nothing(folder: Path, reasons: list[str], count: int) -> str:
    start = f"{folder} has {count:,} images, but no file that says what they show: "
    sheets = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in _SHEETS)
    if sheets:
        return f"{start}save {sheets[0]} as CSV (UTF-8), then say --captions FILE"
    if not reasons:
        return f"{start}write a CSV with the columns image and caption, or a .txt for each image"
    return start + "; ".join(reason[:500] for reason in reasons[:2])


def _layout(images: ImageFolder, path: Path) -> Guess:
    try:
        return _read(images, path)
    except ValidationError as error:
        lines = explain(error, FolderConfig)
        raise DataError(f"{path}: {lines[0] if lines else error}: rename it") from error


def _read(images: ImageFolder, path: Path) -> Guess:
    name = images.below(path)
    if path.suffix.lower() in _SHEETS:
        raise DataError(f"{path} is a spreadsheet: save it as CSV (UTF-8)")
    if _is_image(path):
        raise DataError(f"{path} is an image, not captions: give a table (.csv, .tsv, .json, .jsonl) as --captions")
    known = KnownImages(images)
    if path.suffix.lower() in (".json", ".jsonl", ".ndjson"):
        text = read_text(path)
        if not text.strip():
            raise DataError(f"{path} is empty")
        content = _content(text) if path.suffix.lower() == ".json" else None
        entries = content.get("images") if isinstance(content, dict) else None
        if isinstance(entries, list) and any(isinstance(entry, dict) and "sentences" in entry for entry in entries):
            return _karpathy(images, path, name, entries)
        reopen = partial(open_json, path, text) if content is None else partial(json_table, path, content)
        return _table(json_layout(path, name, known, reopen))
    if path.suffix.lower() in (".txt", ".token"):
        lines = [line for line in read_text(path).split("\n") if line.strip()]
        if lines and sum(_NUMBERED.match(line) is not None for line in lines[:_ROWS]) > len(lines[:_ROWS]) / 2:
            return _numbered(known, path, name, lines)
    return _table(table_layout(path, name, known))


def _content(text: str) -> Any:
    """Returns what JSON holds, or None where it is none, which its reader will tell."""
    try:
        return parse_json(text, strict=False)
    except ValueError:
        return None


def _is_image(path: Path) -> bool:
    if path.suffix.lower() in IMAGES:
        return True
    try:
        with open_regular(path) as file:
            head = file.read(32)
    except OSError:
        return False  # the reader will say why
    return head.startswith(_BEGINNINGS) or (head.startswith(_WORDLIKE) and b"\0" in head)


def _numbered(known: KnownImages, path: Path, name: Path, lines: Sequence[str]) -> Guess:
    """Returns how a token file is read, ``image#number`` first; its splits are drawn where their lists are not."""
    official = SplitLists().model_dump()
    there = [list_name for list_name in official.values() if (path.parent / list_name).is_file()]
    lost = [list_name for list_name in official.values() if list_name not in there]
    if there and lost:
        raise DataError(
            f"{path.parent} has {there[0]}, but not {lost[0]}: put it there, or remove the others to have a split drawn"
        )
    images, some = known.images, [line.partition("#")[0] for line in lines[:_ROWS]]
    base, found = max(images.base(some), known.base(some), key=lambda look: look[1])
    if found < _ENOUGH * len(some):
        every = {line.partition("#")[0] for line in lines}
        matched = sorted(one for one in every if one in known)
        if len(matched) < max(_NOTES, _ENOUGH * len(images.paths)):
            raise DataError(
                f"{path}: only {len(matched):,} of the {len(every):,} images that it names are below {images.folder}, "
                f"which has {len(images.paths):,}, such as {min(images.paths)}: are these captions of other images?"
            )
        base, found = max(images.base(matched), known.base(matched), key=lambda look: look[1])
    lists = SplitLists(**{split: name.parent / one for split, one in official.items()}) if there else None
    config = Flickr8kConfig(root=images.folder, captions=name, images=base, lists=lists)
    return Guess(config, lists is not None, found=found + (len(some) if path.name == _OFFICIAL else 0))


def _table(layout: Layout) -> Guess:
    return Guess(layout.config, layout.split is not None, layout.unused, found=layout.found)


def _karpathy(images: ImageFolder, path: Path, name: Path, entries: Sequence[Any]) -> Guess:
    some = [entry for entry in entries[:_ROWS] if isinstance(entry, dict) and "sentences" in entry]
    names = (str(PurePosixPath(str(entry.get("filepath", "")), str(entry.get("filename")))) for entry in some)
    base, found = images.base(names)
    if found < _ENOUGH * max(len(some), 1):
        raise DataError(f"{path}: only {found} of its first {len(some)} images are below {images.folder}")
    return Guess(KarpathyConfig(root=images.folder, captions=name, images=base), True, found=found)


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
        return read_bytes(path).decode("utf-8-sig", "replace")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
