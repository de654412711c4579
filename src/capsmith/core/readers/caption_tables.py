"""Tables of captions, row by row: delimited text, JSON lines and lists of JSON objects.

Datasets and ``capsmith score`` read captions with this module. Each interprets the columns itself.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from capsmith.core.errors import DataError
from capsmith.core.readers.delimited import Body, Line, read_lines, rest_of, split_fields
from capsmith.core.readers.json_files import parse_json

DELIMITERS: dict[str, str] = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "space": " "}
JSON_LINES = (".jsonl", ".ndjson")
JSON = (".json", *JSON_LINES)
SAMPLE_ROWS = 300  # rows that determine the number of columns when there is no header line


class TableRow(NamedTuple):
    """One row.

    Attributes:
        number: The number of its line, or of its entry in a JSON list.
        values: The value of each column; None if fields and columns differ in number, or the row is damaged.
        remark: A deviation from the format that was corrected.
        line: The split line, in delimited text.
    """

    number: int
    values: dict[str, Any] | None
    remark: str = ""
    line: Line | None = None


@dataclass(frozen=True)
class Table:
    """The rows of a CSV, TSV, JSON or JSON-lines file.

    Attributes:
        columns: The column names; numbers from one when there is no header line.
        rows: The rows.
        unit: What the row numbers count: ``line``, or ``entry`` of a JSON list.
        delimiter: The delimiter of delimited text.
        header: Whether the first row names the columns.
        comments: The number of comment lines before the first row.
    """

    columns: tuple[str, ...]
    rows: Iterator[TableRow]
    unit: str = "line"
    delimiter: str = ""
    header: bool = False
    comments: int = 0

    def with_rest(self, row: TableRow, column: str) -> dict[str, Any] | None:
        """Returns the values of a row with too many fields, with all surplus fields in one column.

        Text with unquoted commas has such rows. Returns None when there is no surplus, or when the delimiter is a
        tab, which captions do not contain.
        """
        line = row.line
        if line is None or line.fault or len(line.fields) <= len(self.columns) or self.delimiter not in (",", ";", "|"):
            return None
        before = self.columns.index(column)
        after = len(self.columns) - before - 1
        last = line.fields[len(line.fields) - after :]
        fields = [*line.fields[:before], rest_of(line, self.delimiter, before, after), *last]
        return dict(zip(self.columns, fields, strict=True))


def header_fields(line: str, delimiter: str) -> list[str]:
    """Returns the column names of a header line."""
    fields = split_fields(line, delimiter)[0]
    if len(fields) == 1 and delimiter in fields[0]:
        fields = split_fields(fields[0], delimiter)[0]  # the complete line is in quotes
    return [field.strip("\ufeff").strip() for field in fields]


def open_delimited(path: Path, body: Body, delimiter: str, header: bool, least: int = 2) -> Table:
    """Opens delimited text.

    Args:
        path: The file, for messages.
        body: Its text.
        delimiter: The delimiter.
        header: Whether the first row names the columns.
        least: The smallest number of columns when there is no header line.

    Raises:
        DataError: Two columns have the same name, or there is no row.
    """
    lines = read_lines(body.text, delimiter, body.first)
    first = next(lines, None)
    if first is None:
        raise DataError(f"{path} is empty")
    if header:
        columns = tuple(header_fields(first.text, delimiter))
        _require_distinct(path, first.number, columns)
    else:
        sample = [first, *itertools.islice(lines, SAMPLE_ROWS)]
        lines = itertools.chain(sample, lines)
        widths = [_width(line, delimiter, least) for line in sample if not line.fault and len(line.fields) >= least]
        columns = tuple(str(n + 1) for n in range(min(widths or [len(line.fields) for line in sample])))
    return Table(columns, _delimited_rows(lines, columns), "line", delimiter, header, body.comments)


def _require_distinct(path: Path, number: int, columns: Sequence[str]) -> None:
    names: set[str] = set()
    for name in columns:
        if name in names:
            raise DataError(f"{path}, line {number}: two columns are called '{name}': give each its own name")
        names |= {name} - {""}


def _delimited_rows(lines: Iterable[Line], columns: Sequence[str]) -> Iterator[TableRow]:
    width = len(columns)
    for line in lines:
        fields = line.fields
        if len(fields) > width and not any(fields[width:]):
            fields = fields[:width]  # delimiters at the end of the row
        elif len(fields) < width and not any(columns[len(fields) :]):
            fields = [*fields, *[""] * (width - len(fields))]  # delimiters at the end of the header line
        fits = len(fields) == width and not line.fault
        yield TableRow(line.number, dict(zip(columns, fields, strict=True)) if fits else None, line.remark, line)


def _width(line: Line, delimiter: str, least: int) -> int:
    """Returns the number of columns of a row.

    A field that starts with a blank is part of a caption, as long as ``least`` columns remain.
    """
    count = len(line.fields)
    in_text = 0 if '"' in line.text or delimiter not in ",;" else line.text.count(f"{delimiter} ")
    return count - in_text if count - in_text >= least else count


def json_content(path: Path, text: str) -> Any:
    """Returns the value of a JSON file, or None when the file contains JSON lines, whatever its suffix.

    Raises:
        DataError: The file is called ``.json`` and contains neither.
    """
    lines = path.suffix.lower() != ".json"
    if lines and not text.lstrip().startswith("[{"):
        return None
    try:
        return parse_json(text, strict=False)
    except ValueError as cause:
        if not lines and not str(cause).startswith("Extra data"):
            raise DataError(f"{path} is not valid JSON: {cause}") from cause
    return None


def open_json_lines(path: Path, text: str) -> Table:
    """Opens JSON lines. The first row names the columns.

    Raises:
        DataError: A line is not a JSON object; for lines after the first, when it is read.
    """
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    columns = tuple(_json_line(path, *lines[0])) if lines else ()
    return Table(columns, (TableRow(number, _json_line(path, number, line)) for number, line in lines))


def _json_line(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        value = parse_json(line.strip().removesuffix(","), strict=False)
    except ValueError as cause:
        raise DataError(f"{path}, line {number}: not valid JSON ({cause})") from cause
    return _json_object(value, f"{path}, line {number}")


def open_json_list(path: Path, entries: Sequence[Any], unit: str = "entry") -> Table:
    """Opens a list of JSON objects.

    Raises:
        DataError: An entry is not an object.
    """
    objects = [_json_object(entry, f"{path}, {unit} {number}") for number, entry in enumerate(entries, start=1)]
    columns = tuple(dict.fromkeys(column for entry in objects for column in entry))
    return Table(columns, itertools.starmap(TableRow, enumerate(objects, start=1)), unit)


def _json_object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DataError(f'{where}: expected an object, as in {{"image": …, "caption": …}}, not {value!r:.60}')
    return value


def coco_file_names(images: Any) -> dict[str, Any]:
    """Returns the file name of each image id in the ``images`` of a COCO file."""
    listed = images if isinstance(images, list) else []
    return {str(image.get("id")): image.get("file_name") for image in listed if isinstance(image, dict)}
