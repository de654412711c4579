"""Readers for captions to score and for references, in the formats that people have.

Recognised by suffix and content:

- JSON lines: ``{"image": "a.jpg", "caption": "…"}``, capsmith's own predictions; ``captions`` with a list also works;
- COCO results (a JSON list of ``image_id`` and ``caption``) and COCO annotations (``images`` and ``annotations``);
- Karpathy's JSON (``images`` with ``sentences`` and ``split``);
- a JSON object from id to a caption or a list of captions;
- CSV or TSV with a header, such as Kaggle's ``image,caption``, or without one where the first field is a file's name;
- Flickr8k's token file, ``a.jpg#0<TAB>caption``;
- plain text, one caption a line: ids are line numbers; references come in several files, line by line the same.

Ids become text everywhere, so that 42 and "42" are one image.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from capsmith.core.errors import DataError
from capsmith.core.readers.delimited import Line, body_of, read_lines, rest_of, split_fields
from capsmith.core.readers.json_files import parse_json
from capsmith.core.readers.text_files import read_text
from capsmith.metrics.inputs import check_caption, count, is_list, named

_IDS = ("image_id", "image", "filename", "file_name", "file", "path", "id", "img")
_TEXTS = ("caption", "captions", "text", "hypothesis", "prediction", "references", "raw")
_FLICKR = re.compile(r"(\S.*?)#\d+\t(.*)")
_IMAGE = re.compile(r"\.(?:jpe?g|jpe|jfif|png|gif|bmp|webp|tiff?|avif|heic)(?:#\d+)?$", re.IGNORECASE)
_SPLITS = {"dev": "val"}  # Karpathy's word for it
Row = tuple[str, Any, str]  # id, caption or captions, where it stands


@dataclass
class CaptionFile:
    """What was read.

    Attributes:
        captions: For each image id its captions, in the order of the file.
        names: Other names of the images, such as file names where ids are numbers: from name to id.
        notes: What people should know, one line each.
    """

    captions: dict[str, list[str]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_captions(path: Path, split: str | None = None) -> CaptionFile:
    """Reads one file of any known format.

    Args:
        path: The file.
        split: Take only this split, in formats that have splits.

    Raises:
        DataError: The file cannot be read, is of no known format, or holds a caption that is no text.
    """
    text = read_text(path)
    found = CaptionFile()
    empty: list[str] = []
    for key, value, where in _rows(path, text, split, found):
        group = found.captions.setdefault(key, [])
        for caption in value if is_list(value) else [value]:
            group.append(_checked(caption, key, where))
            if not group[-1].strip():
                empty.append(key)
    if not found.captions:
        raise DataError(f"{path}: no captions" + (f" of split '{split}'" if split else ""))
    if empty:
        found.notes.append(f"{path}: {count(empty, 'empty caption')} ({named(empty)})")
    return found


def read_hypotheses(path: Path) -> CaptionFile:
    """Reads captions to score: as ``read_captions``, and each image has exactly one.

    Raises:
        DataError: As ``read_captions``; or images with several captions, or none.
    """
    found = read_captions(path)
    several = [key for key, group in found.captions.items() if len(group) != 1]
    if several:
        raise DataError(f"{path}: {count(several, 'image')} with more than one caption, or none: {named(several)}")
    return found


def read_references(paths: Sequence[Path], split: str | None = None) -> CaptionFile:
    """Reads references from one file or several.

    Plain text files must have the same number of lines; in other formats an image's references add up.

    Raises:
        DataError: As ``read_captions``; or plain text files of different lengths.
    """
    found = CaptionFile()
    sizes = {}
    for path in paths:
        one = read_captions(path, split)
        if all(key.isdigit() for key in one.captions):
            sizes[path] = len(one.captions)
        for key, group in one.captions.items():
            found.captions.setdefault(key, []).extend(group)
        found.names |= one.names
        found.notes += one.notes
    if len(paths) > 1 and len(sizes) == len(paths) and len(set(sizes.values())) > 1:
        lines = ", ".join(f"{path.name} {size}" for path, size in sizes.items())
        raise DataError(f"the files of references have different numbers of captions: {lines}")
    return found


def read_training(path: Path) -> CaptionFile:
    """Reads training captions: the train split of a file that has splits, everything of one that has none.

    Raises:
        DataError: As ``read_captions``.
    """
    try:
        return read_captions(path, "train")
    except DataError:
        return read_captions(path)


def align(captions: CaptionFile, references: CaptionFile) -> dict[str, str]:
    """Returns one caption an image under the references' ids, where necessary by the images' other names."""
    single = {key: group[0] for key, group in captions.captions.items()}
    if single.keys() & references.captions.keys() or not all(key in references.names for key in single):
        return single
    return {references.names[key]: caption for key, caption in single.items()}


def _rows(path: Path, text: str, split: str | None, found: CaptionFile) -> Iterator[Row]:
    suffix = path.suffix.lower()
    if suffix in (".jsonl", ".ndjson"):
        return _objects(_json_lines(path, text), split)
    if suffix == ".json":
        try:
            value = parse_json(text, strict=False)
        except ValueError as error:
            raise DataError(f"{path} is not valid JSON: {error}") from error
        return _json(path, value, split, found)
    head = body_of(text).text.partition("\n")[0]
    if suffix in (".csv", ".tsv", ".tab") or _is_header(head, _separator(head)):  # Kaggle's CSV is called captions.txt
        return _csv(path, text, split, found)
    if split is not None:
        raise DataError(f"{path}: this format knows no splits, so --split has no meaning")
    return _lines(path, text)


def _json_lines(path: Path, text: str) -> Iterator[tuple[Any, str]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield parse_json(line, strict=False), f"{path} line {number}"
            except ValueError as error:
                raise DataError(f"{path} line {number} is not valid JSON: {error}") from error


def _json(path: Path, value: Any, split: str | None, found: CaptionFile) -> Iterator[Row]:
    if isinstance(value, list):
        return _objects(((item, f"{path} entry {n}") for n, item in enumerate(value, 1)), split)
    if isinstance(value, dict) and is_list(value.get("annotations")):
        for image in value.get("images") or []:
            if isinstance(image, dict) and "id" in image and "file_name" in image:
                found.names[str(image["file_name"])] = str(image["id"])
        items = ((item, f"{path} annotation {n}") for n, item in enumerate(value["annotations"], 1))
        return _objects(items, split, ids=("image_id",))
    if isinstance(value, dict) and is_list(value.get("images")):
        return _karpathy(path, value["images"], split, found)
    if isinstance(value, dict) and split is None:
        return ((str(key), group, str(path)) for key, group in value.items())
    raise DataError(f"{path}: no captions in a form that is known" + (f", with splits such as '{split}'" * bool(split)))


def _objects(items: Iterable[tuple[Any, str]], split: str | None, ids: Sequence[str] = _IDS) -> Iterator[Row]:
    for item, where in items:
        if not isinstance(item, Mapping):
            raise DataError(f"{where}: expected an object with an id and a caption, not {item!r:.60}")
        if split is not None and _split_of(item, where) != split:
            continue
        key = next((item[name] for name in ids if name in item), None)
        text = next((name for name in _TEXTS if name in item), None)
        if key is None or isinstance(key, (dict, list, float)) or text is None:
            what = "id" if text is not None else "caption"
            names = ", ".join(ids if text is not None else _TEXTS)
            raise DataError(f"{where}: no {what} (one of the keys: {names})")
        yield str(key), item[text], where


def _karpathy(path: Path, images: Sequence[Any], split: str | None, found: CaptionFile) -> Iterator[Row]:
    for number, image in enumerate(images, 1):
        where = f"{path} image {number}"
        if not isinstance(image, dict) or not is_list(image.get("sentences")) or "filename" not in image:
            raise DataError(f"{where}: expected 'filename' and 'sentences', as in Karpathy's files")
        if split is not None and _split_of(image, where) not in (split, _SPLITS.get(split)):
            continue
        key = str(image["filename"])
        for name in ("cocoid", "imgid"):
            if name in image:
                found.names.setdefault(str(image[name]), key)
        yield key, [s.get("raw") if isinstance(s, dict) else s for s in image["sentences"]], where


def _split_of(item: Mapping[str, Any], where: str) -> Any:
    if "split" not in item:
        raise DataError(f"{where}: no 'split', so --split has no meaning")
    return item["split"]


def _csv(path: Path, text: str, split: str | None, found: CaptionFile) -> Iterator[Row]:
    body = body_of(text)
    head = body.text.partition("\n")[0]
    mark = body.delimiter or _separator(head)
    lines = read_lines(body.text, mark, body.first)
    if _is_header(head, mark):
        names = [name.lower() for name in next(lines).fields]
    elif split is None and _is_row(split_fields(head, mark)[0]):
        names = ["image", "caption"]
        found.notes.append(
            f"{path}: no header line: the first column is taken for the image, the second for the caption"
        )
    else:
        raise DataError(f"{path}: the first line must name the columns, such as image,caption; it is {head!r:.80}")
    return _objects(_records(path, lines, names, mark, found), split)


def _records(
    path: Path, lines: Iterator[Line], names: list[str], mark: str, found: CaptionFile
) -> Iterator[tuple[Any, str]]:
    """Yields the rows of delimited text by column; what departs from the format and is evident is noted."""
    caption = next((n for n, name in enumerate(names) if name in _TEXTS), len(names) - 1)
    remarks: dict[str, list[str]] = {}
    for line in lines:
        where, fields = f"{path} line {line.number}", line.fields
        if line.fault:
            raise DataError(f"{where}: {line.fault}")
        remark = line.remark
        if len(fields) > len(names) and not any(fields[len(names) :]):
            fields = fields[: len(names)]
        elif len(fields) > len(names) == 2 and mark in ",;|" and _is_image(fields[-1 if caption == 0 else 0]):
            rest = rest_of(line, mark, caption, 1 - caption)
            fields, remark = ([fields[0], rest] if caption else [rest, fields[-1]]), f"caption with unquoted '{mark}'"
        if len(fields) != len(names):
            raise DataError(f"{where}: {len(names)} columns expected; a caption with a '{mark}' needs quotes")
        if remark:
            remarks.setdefault(remark, []).append(f"line {line.number}")
        yield dict(zip(names, fields, strict=True)), where
    found.notes += [f"{path}: read anyway: {len(some)} × {remark} ({named(some)})" for remark, some in remarks.items()]


def _separator(head: str) -> str:
    return max(",;\t|", key=head.count)


def _is_header(line: str, mark: str) -> bool:
    names = {name.lower() for name in split_fields(line, mark)[0]}
    return bool(names & set(_IDS) and names & set(_TEXTS))


def _is_row(fields: Sequence[str]) -> bool:
    return len(fields) > 1 and _is_image(fields[0])


def _is_image(name: str) -> bool:
    """Returns whether a field ends as names of images do."""
    return _IMAGE.search(name) is not None


def _lines(path: Path, text: str) -> Iterator[Row]:
    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    flickr = [_FLICKR.fullmatch(line.rstrip("\r")) for line in lines]
    if lines and flickr[0] is not None:
        for number, match in enumerate(flickr, 1):
            if match is not None:
                yield match[1], match[2], f"{path} line {number}"
            elif lines[number - 1].strip():
                raise DataError(f"{path} line {number}: expected name#number, a tab and a caption")
        return
    for number, line in enumerate(lines, 1):
        yield str(number), line.rstrip("\r"), f"{path} line {number}"


def _checked(caption: Any, key: str, where: str) -> str:
    try:
        text = check_caption(caption, key)
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    if text.strip().lower() == "nan":
        raise DataError(f"{where}: image {key}: the caption is missing ({text.strip()})")
    return text
