"""Captions in tables: CSV, TSV, JSON or JSON lines, each row an image, a caption and perhaps a split."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator

from capsmith.core.errors import DataError
from capsmith.core.readers.delimited import Body, Line, body_of, read_lines, rest_of, split_fields
from capsmith.core.readers.json_files import parse_json
from capsmith.core.readers.text_files import read_text
from capsmith.core.schema import nearest
from capsmith.data.image_names import is_file_name
from capsmith.data.json_rows import json_rows

Delimiter = Literal["comma", "semicolon", "tab", "pipe", "space"]
MARKS: dict[str, str] = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "space": " "}
Column = Annotated[str, BeforeValidator(lambda value: str(value) if type(value) is int else value)]
"""A column's name, or its number in a table without a header line."""
_JSON = (".json", ".jsonl", ".ndjson")
_TABS = (".tsv", ".tab")
_FEW = 300  # rows that show how many columns there are, where no header line says it


class TableRow(NamedTuple):
    """One row.

    Attributes:
        number: Its line, or its entry in a JSON list.
        values: What stands in each column; None where fields and columns differ in number, or the row is damaged.
        remark: What departs from the format and was read all the same.
        line: The row as it was cut, in delimited text.
    """

    number: int
    values: dict[str, Any] | None
    remark: str = ""
    line: Line | None = None


@dataclass(frozen=True)
class Table:
    """The rows of a CSV, TSV, JSON or JSON-lines file.

    Attributes:
        columns: The column names; numbers from one where there is no header line.
        rows: The rows.
        unit: What the numbers of rows count: ``line``, or ``entry`` of a JSON list.
        delimiter: What separates the fields of delimited text.
        header: Whether the first row names the columns.
        comments: How many comment lines stood before the first row.
    """

    columns: tuple[str, ...]
    rows: Iterator[TableRow]
    unit: str = "line"
    delimiter: str = ""
    header: bool = False
    comments: int = 0

    def with_rest(self, row: TableRow, column: str) -> dict[str, Any] | None:
        """Returns the values of a row with too many fields where all that is surplus belongs to one column.

        That is evident of text with unquoted commas. None where there is no surplus, or where the fields are
        separated by tabs, which captions do not hold.
        """
        line = row.line
        if line is None or line.fault or len(line.fields) <= len(self.columns) or self.delimiter not in (",", ";", "|"):
            return None
        before = self.columns.index(column)
        after = len(self.columns) - before - 1
        last = line.fields[len(line.fields) - after :]
        fields = [*line.fields[:before], rest_of(line, self.delimiter, before, after), *last]
        return dict(zip(self.columns, fields, strict=True))


def read_table(path: Path, required: Mapping[str, str], header: bool = True, delimiter: str | None = None) -> Table:
    """Opens a table by the end of its name: ``.json``, ``.jsonl`` and ``.ndjson``, ``.tsv``, else CSV.

    CSV may be separated by commas, semicolons, tabs or ``|``, whichever makes the required columns appear.

    Args:
        path: The file.
        required: The columns that must be there, by the field of the config that names them.
        header: Whether the first row names the columns; else they are called ``1``, ``2`` and so on.
        delimiter: What separates fields; None finds it out.

    Raises:
        DataError: A column is missing, or the file is not such a table.
    """
    text = read_text(path)
    if not text.strip():
        raise DataError(f"{path} is empty: it needs the columns {', '.join(required.values())}")
    if path.suffix.lower() in _JSON:
        table = open_json(path, text)
    else:
        body = body_of(text)
        known = tuple(required.values()) if header else ()
        mark = MARKS[delimiter] if delimiter else body.delimiter or _delimiter(path, body, known, _most(required))
        table = open_delimited(path, body, mark, header, _most(required))
    columns = set(table.columns)
    for key, column in required.items():
        if column not in columns:
            raise DataError(_without(path, table, key, column))
    return table


def _without(path: Path, table: Table, key: str, column: str) -> str:
    """Returns what is wrong with a table that lacks a column."""
    if table.header:
        place = next((n for n, field in enumerate(table.columns, start=1) if is_file_name(field)), None)
        if place is not None:
            other = 2 if place == 1 else 1
            row = f"{table.columns[place - 1]:.60}"
            return (
                f"{path} has no column '{column}' (data.{key}): its first line is a row ({row}). "
                f"Set data.header: false, data.image_column: {place} and data.caption_column: {other}, or put a line "
                "with the names of the columns above it"
            )
    elif table.unit == "line" and table.delimiter:
        return (
            f"{path} has {len(table.columns)} columns, numbered from 1 (data.header is false), "
            f"and none is '{column}': correct data.{key}"
        )
    found = f"columns found: {', '.join(table.columns[:50]):.100}"
    return f"{path} has no column '{column}'{nearest(column, table.columns[:500])} ({found}); name it with data.{key}"


def _most(required: Mapping[str, str]) -> int:
    """Returns how many columns a table without a header line must have."""
    return max((int(column) for column in required.values() if column.isdecimal() and len(column) < 6), default=2)


def _delimiter(path: Path, body: Body, required: Sequence[str], least: int) -> str:
    """Returns what separates the fields: what makes the required columns appear, or enough of them in most rows."""
    candidates = "\t,;|" if path.suffix.lower() in _TABS else ",;\t|"
    if required:
        head = body.text.split("\n", 1)[0]
        wanted = set(required)
        return next((mark for mark in candidates if wanted <= set(head_fields(head, mark))), candidates[0])
    some = {mark: list(itertools.islice(read_lines(body.text, mark), _FEW)) for mark in "\t,;|"}
    return max(some, key=lambda mark: sum(len(line.fields) >= least for line in some[mark]))


def head_fields(line: str, delimiter: str) -> list[str]:
    """Returns the names of columns that a header line holds."""
    fields = split_fields(line, delimiter)[0]
    if len(fields) == 1 and delimiter in fields[0]:
        fields = split_fields(fields[0], delimiter)[0]  # the whole line in quotes
    return [field.strip("\ufeff").strip() for field in fields]


def open_delimited(path: Path, body: Body, delimiter: str, header: bool, least: int = 2) -> Table:
    """Opens delimited text.

    Args:
        path: The file, for messages.
        body: What it holds.
        delimiter: What separates fields.
        header: Whether the first row names the columns.
        least: Without a header line, how many columns there are at least.

    Raises:
        DataError: Two columns have one name, or there is no row.
    """
    lines = read_lines(body.text, delimiter, body.first)
    first = next(lines, None)
    if first is None:
        raise DataError(f"{path} is empty")
    if header:
        columns = tuple(head_fields(first.text, delimiter))
        seen: set[str] = set()
        for name in columns:
            if name in seen:
                raise DataError(
                    f"{path}, line {first.number}: two columns are called '{name}': give them names of their own"
                )
            seen |= {name} - {""}
    else:
        some = [first, *itertools.islice(lines, _FEW)]
        lines = itertools.chain(some, lines)
        widths = [_width(line, delimiter, least) for line in some if not line.fault and len(line.fields) >= least]
        columns = tuple(str(n + 1) for n in range(min(widths or [len(line.fields) for line in some])))

    def rows() -> Iterator[TableRow]:
        width = len(columns)
        for line in lines:
            fields = line.fields
            if len(fields) > width and not any(fields[width:]):
                fields = fields[:width]  # separators at the end of the row
            elif len(fields) < width and not any(columns[len(fields) :]):
                fields = [*fields, *[""] * (width - len(fields))]  # the header line has them
            fits = len(fields) == width and not line.fault
            yield TableRow(line.number, dict(zip(columns, fields, strict=True)) if fits else None, line.remark, line)

    return Table(columns, rows(), "line", delimiter, header, body.comments)


def _width(line: Line, delimiter: str, least: int) -> int:
    """Returns how many columns a row shows; one with a blank in front is the rest of a caption, if enough are left."""
    count = len(line.fields)
    prose = 0 if '"' in line.text or delimiter not in ",;" else line.text.count(f"{delimiter} ")
    return count - prose if count - prose >= least else count


def open_json(path: Path, text: str) -> Table:
    """Opens JSON or JSON lines, whichever it is, whatever the end of its name.

    Raises:
        DataError: It is neither, or holds no rows.
    """
    lines = path.suffix.lower() != ".json"
    if not lines or text.lstrip().startswith("[{"):
        try:
            return json_table(path, parse_json(text, strict=False))
        except ValueError as cause:
            if not lines and not str(cause).startswith("Extra data"):
                raise DataError(f"{path} is not valid JSON: {cause}") from cause
    return _json_lines(path, text)


def json_table(path: Path, content: Any) -> Table:
    """Returns the table that the content of a ``.json`` file is; raises DataError when it is none."""
    entries = json_rows(path, content)
    columns = tuple(dict.fromkeys(column for entry in entries for column in entry))
    return Table(columns, itertools.starmap(TableRow, enumerate(entries, start=1)), "entry")


def _json_lines(path: Path, text: str) -> Table:
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    columns = tuple(_json_object(path, *lines[0]))

    def rows() -> Iterator[TableRow]:
        for number, line in lines:
            yield TableRow(number, _json_object(path, number, line))

    return Table(columns, rows())


def _json_object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        value = parse_json(line.strip().removesuffix(","), strict=False)
    except ValueError as cause:
        raise DataError(f"{path}, line {number}: not valid JSON ({cause})") from cause
    if not isinstance(value, dict):
        raise DataError(f'{path}, line {number}: each line must be an object, as in {{"image": …}}')
    return value
