"""Reads captions to score and references in common formats.

The suffix and the content determine the format:

- JSON lines: ``{"image": "a.jpg", "caption": "…"}``, capsmith's own predictions; a list in ``captions`` also works;
- COCO results (a JSON list of ``image_id`` and ``caption``) and COCO annotations (``images`` and ``annotations``);
- Karpathy's JSON (``images`` with ``sentences`` and ``split``);
- a JSON object from id to a caption or a list of captions;
- CSV or TSV with a header line, such as Kaggle's ``image,caption``, or without one if the first field is a file name;
- Flickr8k's token file, ``a.jpg#0<TAB>caption``;
- plain text, one caption per line: the line number is the id; each reference has its own file with the same lines.

All ids become text, so that 42 and "42" are the same image.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from capsmith.core.errors import DataError
from capsmith.core.readers.caption_tables import (
    JSON,
    Table,
    coco_file_names,
    json_content,
    open_delimited,
    open_json_lines,
    open_json_list,
)
from capsmith.core.readers.delimited import body_of, split_fields
from capsmith.core.readers.text_files import read_text
from capsmith.metrics.inputs import check_caption, count, is_list, named

_IDS = ("image_id", "image", "filename", "file_name", "file", "path", "id", "img")
_TEXTS = ("caption", "captions", "text", "hypothesis", "prediction", "references", "raw")
_FLICKR = re.compile(r"(\S.*?)#\d+\t(.*)")
_IMAGE = re.compile(r"\.(?:jpe?g|jpe|jfif|png|gif|bmp|webp|tiff?|avif|heic)(?:#\d+)?$", re.IGNORECASE)
_SPLITS = {"dev": "val"}  # Karpathy's name
Row = tuple[str, Any, str]  # id, one or more captions, location


@dataclass
class CaptionFile:
    """The content of one or more files.

    Attributes:
        captions: The captions of each image id, in the order of the file.
        names: The ids of other names of the images, such as file names where ids are numbers.
        notes: Remarks for the user, one line each.
    """

    captions: dict[str, list[str]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_captions(path: Path, split: str | None = None) -> CaptionFile:
    """Reads one file of any known format.

    Args:
        path: The file.
        split: Read only this split, in formats that have splits.

    Raises:
        DataError: The file cannot be read, its format is not known, or a caption is not text.
    """
    text = read_text(path)
    content = CaptionFile()
    empty: list[str] = []
    for key, value, where in _rows(path, text, split, content):
        group = content.captions.setdefault(key, [])
        for caption in value if is_list(value) else [value]:
            group.append(_checked(caption, key, where))
            if not group[-1].strip():
                empty.append(key)
    if not content.captions:
        raise DataError(f"{path}: no captions" + (f" of split '{split}'" if split else ""))
    if empty:
        content.notes.append(f"{path}: {count(empty, 'empty caption')} ({named(empty)})")
    return content


def read_hypotheses(path: Path) -> CaptionFile:
    """Reads captions to score, like ``read_captions``, but with exactly one caption per image.

    Raises:
        DataError: An image has several captions, or none; see also ``read_captions``.
    """
    content = read_captions(path)
    several = [key for key, group in content.captions.items() if len(group) != 1]
    if several:
        raise DataError(f"{path}: {count(several, 'image')} with more than one caption, or none: {named(several)}")
    return content


def read_references(paths: Sequence[Path], split: str | None = None) -> CaptionFile:
    """Reads references from one or more files.

    Plain text files must have the same number of lines. In other formats the references of an image are combined.

    Raises:
        DataError: Plain text files differ in length; see also ``read_captions``.
    """
    references = CaptionFile()
    sizes = {}
    for path in paths:
        content = read_captions(path, split)
        if all(key.isdigit() for key in content.captions):
            sizes[path] = len(content.captions)
        for key, group in content.captions.items():
            references.captions.setdefault(key, []).extend(group)
        references.names |= content.names
        references.notes += content.notes
    if len(paths) > 1 and len(sizes) == len(paths) and len(set(sizes.values())) > 1:
        lines = ", ".join(f"{path.name} {size}" for path, size in sizes.items())
        raise DataError(f"the reference files have different numbers of captions: {lines}")
    return references


def read_training(path: Path) -> CaptionFile:
    """Reads training captions: the train split of a file that has splits, otherwise all captions.

    Raises:
        DataError: See ``read_captions``.
    """
    try:
        return read_captions(path, "train")
    except DataError:
        return read_captions(path)


def align(captions: CaptionFile, references: CaptionFile) -> dict[str, str]:
    """Returns one caption per image under the ids of the references, matched by other image names if necessary."""
    single = {key: group[0] for key, group in captions.captions.items()}
    if single.keys() & references.captions.keys() or not all(key in references.names for key in single):
        return single
    return {references.names[key]: caption for key, caption in single.items()}


def _rows(path: Path, text: str, split: str | None, content: CaptionFile) -> Iterator[Row]:
    suffix = path.suffix.lower()
    if suffix in JSON:
        value = json_content(path, text)
        if value is None:
            return _objects(path, open_json_lines(path, text), split)
        return _json(path, value, split, content)
    head = body_of(text).text.partition("\n")[0]
    if suffix in (".csv", ".tsv", ".tab") or _is_header(head, _delimiter(head)):  # Kaggle's CSV is called captions.txt
        return _delimited(path, text, split, content)
    if split is not None:
        raise DataError(f"{path}: this format has no splits: omit --split")
    return _lines(path, text)


def _json(path: Path, value: Any, split: str | None, content: CaptionFile) -> Iterator[Row]:
    if isinstance(value, list):
        return _objects(path, open_json_list(path, value), split)
    if isinstance(value, dict) and is_list(value.get("annotations")):
        for image_id, name in coco_file_names(value.get("images")).items():
            if name is not None:
                content.names[str(name)] = image_id
        return _objects(path, open_json_list(path, value["annotations"], "annotation"), split, ids=("image_id",))
    if isinstance(value, dict) and is_list(value.get("images")):
        return _karpathy(path, value["images"], split, content)
    if isinstance(value, dict) and split is None:
        return ((str(key), group, str(path)) for key, group in value.items())
    raise DataError(f"{path}: no captions in a known format" + (f", with splits such as '{split}'" * bool(split)))


def _objects(path: Path, table: Table, split: str | None, ids: Sequence[str] = _IDS) -> Iterator[Row]:
    """Yields the rows of a table whose columns have known names."""
    for row in table.rows:
        where, values = f"{path}, {table.unit} {row.number}", row.values or {}
        if split is not None and _split_of(values, where) != split:
            continue
        key = next((values[name] for name in ids if name in values), None)
        text = next((name for name in _TEXTS if name in values), None)
        if key is None or isinstance(key, (dict, list, float)) or text is None:
            what = "id" if text is not None else "caption"
            keys = ", ".join(ids if text is not None else _TEXTS)
            raise DataError(f"{where}: no {what} (one of the keys: {keys})")
        yield str(key), values[text], where


def _karpathy(path: Path, images: Sequence[Any], split: str | None, content: CaptionFile) -> Iterator[Row]:
    for number, image in enumerate(images, 1):
        where = f"{path}, image {number}"
        if not isinstance(image, dict) or not is_list(image.get("sentences")) or "filename" not in image:
            raise DataError(f"{where}: expected 'filename' and 'sentences', as in Karpathy's files")
        if split is not None and _split_of(image, where) not in (split, _SPLITS.get(split)):
            continue
        key = str(image["filename"])
        for name in ("cocoid", "imgid"):
            if name in image:
                content.names.setdefault(str(image[name]), key)
        yield key, [s.get("raw") if isinstance(s, dict) else s for s in image["sentences"]], where


def _split_of(values: Mapping[str, Any], where: str) -> Any:
    if "split" not in values:
        raise DataError(f"{where}: no 'split': omit --split")
    return values["split"]


def _delimited(path: Path, text: str, split: str | None, content: CaptionFile) -> Iterator[Row]:
    body = body_of(text)
    head = body.text.partition("\n")[0]
    delimiter = body.delimiter or _delimiter(head)
    if _is_header(head, delimiter):
        table = open_delimited(path, body, delimiter, header=True)
        names = tuple(name.lower() for name in table.columns)
    elif split is None and _is_row(split_fields(head, delimiter)[0]):
        table = open_delimited(path, body, delimiter, header=False)
        names = ("image", "caption")
        content.notes.append(f"{path}: no header line: the first column is the image, the second is the caption")
    else:
        raise DataError(f"{path}: the first line must name the columns, such as image,caption; it is {head!r:.80}")
    return _objects(path, Table(names, _complete(path, table, names, content), delimiter=delimiter), split)


def _complete(path: Path, table: Table, names: Sequence[str], content: CaptionFile) -> Iterator[Any]:
    """Yields the rows of delimited text under other column names; obvious deviations are corrected and noted."""
    caption = next((n for n, name in enumerate(names) if name in _TEXTS), len(names) - 1)
    remarks: dict[str, list[str]] = {}
    for row in table.rows:
        where, values, remark = f"{path}, line {row.number}", row.values, row.remark
        if row.line is not None and row.line.fault:
            raise DataError(f"{where}: {row.line.fault}")
        if values is None and len(names) == len(table.columns) == 2:
            values, remark = table.with_rest(row, table.columns[caption]), f"caption with unquoted '{table.delimiter}'"
            if values is not None and not _is_image(values[table.columns[1 - caption]]):
                values = None
        if values is None or len(values) != len(names):
            needs = f"a caption with a '{table.delimiter}' needs quotes"
            raise DataError(f"{where}: {len(names)} columns expected; {needs}")
        if remark:
            remarks.setdefault(remark, []).append(f"line {row.number}")
        yield row._replace(values=dict(zip(names, values.values(), strict=True)))
    content.notes += [
        f"{path}: corrected: {len(places)} × {remark} ({named(places)})" for remark, places in remarks.items()
    ]


def _delimiter(head: str) -> str:
    return max(",;\t|", key=head.count)


def _is_header(line: str, delimiter: str) -> bool:
    names = {name.lower() for name in split_fields(line, delimiter)[0]}
    return bool(names & set(_IDS) and names & set(_TEXTS))


def _is_row(fields: Sequence[str]) -> bool:
    return len(fields) > 1 and _is_image(fields[0])


def _is_image(name: str) -> bool:
    """Returns whether a field ends like the name of an image file."""
    return _IMAGE.search(name) is not None


def _lines(path: Path, text: str) -> Iterator[Row]:
    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    flickr = [_FLICKR.fullmatch(line.rstrip("\r")) for line in lines]
    if lines and flickr[0] is not None:
        for number, match in enumerate(flickr, 1):
            if match is not None:
                yield match[1], match[2], f"{path}, line {number}"
            elif lines[number - 1].strip():
                raise DataError(f"{path}, line {number}: expected name#number, a tab and a caption")
        return
    for number, line in enumerate(lines, 1):
        yield str(number), line.rstrip("\r"), f"{path}, line {number}"


def _checked(caption: Any, key: str, where: str) -> str:
    try:
        text = check_caption(caption, key)
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    if text.strip().lower() == "nan":
        raise DataError(f"{where}: image {key}: the caption is missing ({text.strip()})")
    return text
