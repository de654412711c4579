"""Detects how a folder of images and captions is laid out.

Column names are unreliable: the same column may be called ``image``, ``file_name`` or ``Bild``. Detection therefore
relies on content first: the image column is the one whose values are existing images, the caption column the one with
the longest varied text. Names only decide between equally plausible columns.
"""

import re
from collections.abc import Iterator, Sequence
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
from capsmith.data.onboarding.shard_layout import shard_layout
from capsmith.data.onboarding.table_layout import DatasetLayout, json_layout, table_layout
from capsmith.data.record_builder import IMAGES
from capsmith.data.sidecars import sidecar_names, sidecar_path
from capsmith.data.splits import SplitLists
from capsmith.data.tables import json_table, open_json

_CAPTION_FILES = (".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".json", ".txt", ".token")
_SPREADSHEETS = (".xlsx", ".xls", ".ods", ".numbers")
_OFFICIAL = "Flickr8k.token.txt"
_ROWS = 300  # rows that are inspected
_ENOUGH = 0.5  # share of the inspected rows whose image must exist
_SIDECARS_READ = 20  # text files read to check whether they contain prose
_MIN_SIDECARS = 3  # minimum number of text files named like images that count as captions
_NUMBERED = re.compile(r"[^\t#]+#\d+\t")  # start of a row of Flickr8k's and Flickr30k's token files
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")  # of image files
_TEXT_LIKE_SIGNATURES = (b"RIFF", b"BM")  # image files contain NUL bytes; a text may begin the same way, but has none


def detect_layout(folder: Path, captions: Path | None = None) -> DatasetLayout:
    """Returns the settings that read a folder's images and captions.

    Args:
        folder: Holds the images, at any depth, and the captions.
        captions: The captions: a file anywhere, or a folder with a text file for each image. By default, the file in
            ``folder`` that names most of its images.

    Raises:
        DataError: The folder does not exist, has no images, or has no captions for them; the message says
            what was tried.
    """
    if captions is None and (layout := shard_layout(folder)) is not None:
        return layout
    images = ImageFolder(folder)
    if captions is not None:
        return _given_captions(images, captions)
    sidecars = _sidecar_layout(images, [folder, *_subfolders(folder)])
    files = sorted(_caption_files(folder), key=lambda path: (len(path.parts), "caption" not in path.name, path))
    if sidecars is not None:
        stems = {PurePosixPath(path).stem for path in images.paths}
        files = [path for path in files if path.suffix.lower() != ".txt" or path.stem not in stems]
    layouts: list[DatasetLayout] = []
    reasons: list[str] = []
    for path in files:
        try:
            layouts.append(_file_layout(images, path))
        except DataError as error:
            reasons.append(str(error))
    if sidecars is not None:
        layouts.append(sidecars)
    if not layouts:
        raise DataError(_no_captions(folder, reasons, len(images.paths)))
    best = max(layouts, key=lambda layout: layout.matches)  # the first if several are equal
    others = tuple(str(getattr(layout.config, "captions", "")) for layout in layouts if layout is not best)
    return DatasetLayout(best.config, best.has_splits, best.unused_columns, others, best.matches)


def _given_captions(images: ImageFolder, captions: Path) -> DatasetLayout:
    if captions.is_dir():
        sidecars = _sidecar_layout(images, [captions])
        if sidecars is None:
            raise DataError(f"{captions} is a folder without text files named like the images: pass a captions file")
        return sidecars
    if not captions.is_file():
        raise DataError(f"{captions}: {describe_special(captions) or 'no such file'}")
    return _file_layout(images, captions)


def _sidecar_layout(images: ImageFolder, folders: Sequence[Path]) -> DatasetLayout | None:
    """Returns the layout of text files named like images below one of the folders; None if there are none."""
    best, most = None, 0.0
    for folder in folders:
        names = list(sidecar_names(folder))
        sample = names[:: -(-len(names) // _ROWS) or 1]
        if len(names) < _MIN_SIDECARS or not _contain_prose(folder, sample):
            continue
        below = images.below(folder)
        base, matches = images.base(sample, stems=True, near=below)
        estimate = matches / len(sample) * len(names)
        if matches >= _MIN_SIDECARS and estimate >= most:  # if several are equal, the innermost folder
            config = FolderConfig(root=images.folder, captions=below, images=base)
            best, most = DatasetLayout(config, False, matches=matches), estimate
    return best


def _contain_prose(folder: Path, names: Sequence[str]) -> bool:
    """Returns whether most text files contain letters; object detection labels contain only numbers."""
    texts = [_decoded(sidecar_path(folder, name)) for name in names[:_SIDECARS_READ]]
    return sum(any(map(str.isalpha, text)) for text in texts) > len(texts) / 2


def _no_captions(folder: Path, reasons: list[str], count: int) -> str:
    start = f"{folder} has {count:,} images, but no captions for them: "
    spreadsheets = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in _SPREADSHEETS)
    if spreadsheets:
        return f"{start}save {spreadsheets[0]} as CSV (UTF-8), and pass it with --captions FILE"
    if not reasons:
        return f"{start}write a CSV with the columns image and caption, or a .txt for each image"
    return start + "; ".join(reason[:500] for reason in reasons[:2])


def _file_layout(images: ImageFolder, path: Path) -> DatasetLayout:
    try:
        return _read_layout(images, path)
    except ValidationError as error:
        lines = explain(error, FolderConfig)
        raise DataError(f"{path}: {lines[0] if lines else error}: rename it") from error


def _read_layout(images: ImageFolder, path: Path) -> DatasetLayout:
    name = images.below(path)
    if path.suffix.lower() in _SPREADSHEETS:
        raise DataError(f"{path} is a spreadsheet: save it as CSV (UTF-8)")
    if _is_image(path):
        raise DataError(f"{path} is an image, not captions: pass a table (.csv, .tsv, .json, .jsonl) with --captions")
    known = KnownImages(images)
    if path.suffix.lower() in (".json", ".jsonl", ".ndjson"):
        return _json_file_layout(known, path, name)
    if path.suffix.lower() in (".txt", ".token"):
        lines = [line for line in read_text(path).split("\n") if line.strip()]
        if lines and sum(_NUMBERED.match(line) is not None for line in lines[:_ROWS]) > len(lines[:_ROWS]) / 2:
            return _token_file_layout(known, path, name, lines)
    return table_layout(path, name, known)


def _json_file_layout(known: KnownImages, path: Path, name: Path) -> DatasetLayout:
    text = read_text(path)
    if not text.strip():
        raise DataError(f"{path} is empty")
    content = _parsed(text) if path.suffix.lower() == ".json" else None
    entries = content.get("images") if isinstance(content, dict) else None
    if isinstance(entries, list) and any(isinstance(entry, dict) and "sentences" in entry for entry in entries):
        return _karpathy_layout(known.images, path, name, entries)
    reopen = partial(open_json, path, text) if content is None else partial(json_table, path, content)
    return json_layout(path, name, known, reopen)


def _parsed(text: str) -> Any:
    """Returns the parsed JSON; None if it is invalid, which the reader will report."""
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
        return False  # the reader will report it
    return head.startswith(_SIGNATURES) or (head.startswith(_TEXT_LIKE_SIGNATURES) and b"\0" in head)


def _token_file_layout(known: KnownImages, path: Path, name: Path, lines: Sequence[str]) -> DatasetLayout:
    """Returns the layout of a token file (rows begin with ``image#number``) and of its split lists if they exist."""
    official = SplitLists().model_dump()
    present = [list_name for list_name in official.values() if (path.parent / list_name).is_file()]
    absent = [list_name for list_name in official.values() if list_name not in present]
    if present and absent:
        raise DataError(
            f"{path.parent} has {present[0]}, but not {absent[0]}: add it, or remove the others to draw a split"
        )
    images, sample = known.images, [line.partition("#")[0] for line in lines[:_ROWS]]
    base, matches = max(images.base(sample), known.base(sample), key=lambda result: result[1])
    if matches < _ENOUGH * len(sample):
        named = {line.partition("#")[0] for line in lines}
        existing = sorted(image for image in named if image in known)
        if len(existing) < max(_MIN_SIDECARS, _ENOUGH * len(images.paths)):
            raise DataError(
                f"{path}: only {len(existing):,} of the {len(named):,} images that it names are below {images.folder}, "
                f"which has {len(images.paths):,}, such as {min(images.paths)}: are these captions for other images?"
            )
        base, matches = max(images.base(existing), known.base(existing), key=lambda result: result[1])
    lists = SplitLists(**{split: name.parent / file for split, file in official.items()}) if present else None
    config = Flickr8kConfig(root=images.folder, captions=name, images=base, lists=lists)
    bonus = len(sample) if path.name == _OFFICIAL else 0
    return DatasetLayout(config, lists is not None, matches=matches + bonus)


def _karpathy_layout(images: ImageFolder, path: Path, name: Path, entries: Sequence[Any]) -> DatasetLayout:
    sample = [entry for entry in entries[:_ROWS] if isinstance(entry, dict) and "sentences" in entry]
    names = (str(PurePosixPath(str(entry.get("filepath", "")), str(entry.get("filename")))) for entry in sample)
    base, matches = images.base(names)
    if matches < _ENOUGH * max(len(sample), 1):
        raise DataError(f"{path}: only {matches} of its first {len(sample)} images are below {images.folder}")
    return DatasetLayout(KarpathyConfig(root=images.folder, captions=name, images=base), True, matches=matches)


def _subfolders(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]


def _caption_files(folder: Path) -> Iterator[Path]:
    """Yields files that may hold captions, in a folder and its direct subfolders."""
    for place in (folder, *_subfolders(folder)):
        try:
            files = list(place.iterdir())
        except OSError:
            continue  # no permission
        yield from (path for path in files if path.suffix.lower() in _CAPTION_FILES and path.is_file())


def _decoded(path: Path) -> str:
    try:
        return read_bytes(path).decode("utf-8-sig", "replace")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
