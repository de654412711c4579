"""Captions in tables: CSV, TSV, JSON or JSON lines, each row an image, a caption and perhaps a split."""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capsmith.data.files import read_text
from capsmith.data.json_rows import json_rows
from capsmith.data.rows import Rows
from capsmith.data.splits import split_name
from capsmith.errors import DataError
from capsmith.readers.json_files import parse_json, read_json
from capsmith.schema import nearest

_JSON = (".json", ".jsonl", ".ndjson")
_FEW = 20  # lines that show what separates columns


@dataclass(frozen=True)
class Table:
    """The rows of a CSV, TSV, JSON or JSON-lines file.

    Attributes:
        columns: The column names.
        rows: Line number and values by column; None for a row with too many or too few fields.
        unit: What the numbers count: ``line``, or ``entry`` of a JSON list.
    """

    columns: tuple[str, ...]
    rows: Iterator[tuple[int, dict[str, Any] | None]]
    unit: str = "line"


def read_table(path: Path, required: Mapping[str, str]) -> Table:
    """Opens a table by the end of its name: ``.json``, ``.jsonl`` and ``.ndjson``, ``.tsv``, else CSV.

    CSV may be separated by commas, semicolons, tabs or ``|``, whichever makes the required columns appear.
    Quotes have a meaning between commas and semicolons; between tabs and ``|`` only around a whole field.

    Args:
        path: The file.
        required: The columns that must be there, by the field of the config that names them.

    Raises:
        DataError: A column is missing, or the file is not such a table.
    """
    text = read_text(path)
    if not text.strip():
        raise DataError(f"{path} is empty: it needs the columns {', '.join(required.values())}")
    if path.suffix.lower() in _JSON:
        table = _json(path, text)
    else:
        table = _delimited(path, text, tuple(required.values()))
    for key, column in required.items():
        if column not in table.columns:
            raise DataError(
                f"{path} has no column '{column}'{nearest(column, table.columns)} "
                f"(columns found: {', '.join(table.columns):.100}); name it with data.{key}"
            )
    return table


def guess_table(path: Path) -> Table:
    """Opens a table of which nothing is known: by the end of its name, else separated by what its first lines share.

    Raises:
        DataError: It is empty, or not a table of two columns or more.
    """
    text = read_text(path)
    if not text.strip():
        raise DataError(f"{path} is empty")
    if path.suffix.lower() in _JSON:
        return _json(path, text)
    widths = {mark: _widths(text, mark) for mark in "\t;|,"}
    even = [mark for mark, found in widths.items() if found[0] > 1 and found.count(found[0]) > len(found) / 2]
    if not even:
        uneven = max((found for found in widths.values() if found[0] > 1), default=None)
        if uneven is None:
            raise DataError(f"{path} is not a table: its lines have no columns separated by , ; | or tabs")
        raise DataError(
            f"{path}: its first line has {uneven[0]} columns, but most lines have others (up to {max(uneven)}): "
            "put captions that hold the separator in quotes"
        )
    if path.suffix.lower() in (".tsv", ".tab") and even[0] != "\t":
        raise DataError(f"{path}: its columns are separated by '{even[0]}', not by tabs: call it .csv")
    head = next(line for line in text.split("\n") if line.strip())
    return _delimited(path, text, _fields(head, even[0]))


def _widths(text: str, mark: str) -> list[int]:
    """Returns how many fields each of the first records has, if columns were separated so."""
    if mark in "\t|":
        return [line.count(mark) + 1 for line in text.split("\n") if line.strip()][:_FEW]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, skipinitialspace=True)
    found: list[int] = []
    try:
        for fields in reader:
            if any(field.strip() for field in fields):
                found.append(len(fields))
            if len(found) == _FEW:
                break
    except csv.Error:
        pass
    return found or [0]


def take_rows(rows: Rows, table: Table, image: str, captions: Sequence[str], split: str | None = None) -> None:
    """Adds each row of a table; rows that are no image and caption are counted as problems.

    Args:
        rows: Where they go.
        table: The opened table.
        image: The column with the picture's name.
        captions: The columns with captions; in JSON lines one may hold a list of captions. Of several columns, those
            that are empty in a row are passed over.
        split: The column with the split's name, if there is one.
    """
    for number, values in table.rows:
        where = f"{table.unit} {number}"
        if values is None:
            rows.reject(f"row without exactly {len(table.columns)} fields", where)
            continue
        image_id = values.get(image)
        texts = _captions(values, captions)
        word = str(values.get(split) or "") if split else ""
        name = split_name(word)
        if name is None:
            rows.reject("unknown split (train, dev or test)", f"'{word}' in {where}")
        elif not isinstance(image_id, str) or not all(isinstance(text, str) for text in texts):
            rows.reject(f"row whose '{image}' or '{captions[0]}' is not text", where)
        else:
            for text in texts:
                rows.add(image_id, text, name)


def _captions(values: dict[str, Any], columns: Sequence[str]) -> list[Any]:
    given = [values.get(column) for column in columns]
    texts = [text for value in given for text in (value if isinstance(value, list) and value else [value])]
    filled = [text for text in texts if text not in ("", None)] if len(columns) > 1 else texts
    return filled or texts[:1]


def _json(path: Path, text: str) -> Table:
    if path.suffix.lower() != ".json":
        return _json_lines(path, text)
    return json_table(path, read_json(path, DataError, strict=False))


def json_table(path: Path, content: Any) -> Table:
    """Returns the table that the content of a ``.json`` file is; raises DataError when it is none."""
    entries = json_rows(path, content)
    columns = tuple(dict.fromkeys(column for entry in entries for column in entry))
    return Table(columns, iter(enumerate(entries, start=1)), "entry")


def _json_lines(path: Path, text: str) -> Table:
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    columns = tuple(_json_object(path, *lines[0]))

    def rows() -> Iterator[tuple[int, dict[str, Any] | None]]:
        for number, line in lines:
            yield number, _json_object(path, number, line)

    return Table(columns, rows())


def _json_object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        value = parse_json(line, strict=False)
    except ValueError as cause:
        raise DataError(f"{path}, line {number}: not valid JSON ({cause})") from cause
    if not isinstance(value, dict):
        raise DataError(f'{path}, line {number}: each line must be an object, as in {{"image": …}}')
    return value


def _delimited(path: Path, text: str, required: Sequence[str]) -> Table:
    head = next(line for line in text.split("\n") if line.strip())
    candidates = "\t" if path.suffix.lower() in (".tsv", ".tab") else ",;\t|"
    headers = {mark: tuple(_fields(head, mark)) for mark in candidates}
    delimiter = next((mark for mark, found in headers.items() if set(required) <= set(found)), candidates[0])
    columns = headers[delimiter]
    if twice := next((name for name in columns if name and columns.count(name) > 1), None):
        raise DataError(f"{path}, line 1: two columns are called '{twice}': give them names of their own")
    records = _quoted(path, text, delimiter) if delimiter in ",;" else _plain(text, delimiter)

    def rows() -> Iterator[tuple[int, dict[str, Any] | None]]:
        next(records)
        for number, fields in records:
            yield number, dict(zip(columns, fields, strict=True)) if len(fields) == len(columns) else None

    return Table(columns, rows())


def _fields(line: str, delimiter: str) -> list[str]:
    try:
        return [field.strip() for field in next(csv.reader([line], delimiter=delimiter))]
    except csv.Error:
        return []


def _quoted(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    start = 1
    try:
        for fields in reader:
            if any(field.strip() for field in fields):
                yield start, [field.strip() for field in fields]
            start = reader.line_num + 1
    except csv.Error as cause:
        raise DataError(
            f'{path}, line {start}: a quote is not closed, or not doubled ("") in a quoted field ({cause})'
        ) from cause


def _plain(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, [_unquoted(field.strip()) for field in line.split(delimiter)]


def _unquoted(field: str) -> str:
    match = re.fullmatch(r'"((?:[^"]|"")*)"', field)
    return match[1].replace('""', '"') if match else field
