"""The rows of a library's file: text with a caption a line, CSV, TSV, JSON or JSON lines."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from capsmith.core.errors import DataError, escaped
from capsmith.core.readers.caption_tables import JSON, TableRow, header_fields, json_content, open_delimited
from capsmith.core.readers.delimited import body_of
from capsmith.core.readers.json_files import parse_json
from capsmith.core.spelling import folded, nearest

CAPTION, DESCRIPTION, THEME = COLUMNS = ("caption", "description", "theme")
"""The columns of a library; others are ignored. Case does not matter."""
TABLES = (".csv", ".tsv", ".tab")
_EXAMPLE = '{"caption": …, "description": …, "theme": …}'


class Row(NamedTuple):
    """One row.

    Attributes:
        where: Its place in the file, such as ``line 7``.
        values: The values of the columns that are there, by name.
        problem: Why the row cannot be read; empty if it can.
    """

    where: str
    values: dict[str, Any]
    problem: str = ""


def rows_of(text: str, name: str, suffix: str) -> Iterator[Row]:
    """Yields the rows of a library.

    Args:
        text: The content of the file.
        name: Its name, for messages.
        suffix: Its suffix, such as ``.csv``, which states the format; text by default.

    Raises:
        DataError: There is no column ``caption``, or the file is not JSON.
    """
    if suffix.lower() in JSON:
        return _json(text, name, suffix)
    return _table(text, name, suffix) if suffix.lower() in TABLES else _lines(text)


def _lines(text: str) -> Iterator[Row]:
    """Yields a row a line; empty lines and comments are skipped: ``#`` alone or before a space. ``#mood`` is a tag."""
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        line = line.strip()
        if line and line != "#" and not line.startswith(("# ", "#\t")):
            yield Row(f"line {number}", {CAPTION: line})


def _table(text: str, name: str, suffix: str) -> Iterator[Row]:
    body = body_of(text)
    if not body.text.strip():
        return
    marks = body.delimiter or ("\t,;|" if suffix.lower() != ".csv" else ",;\t|")
    head = body.text.split("\n", 1)[0]
    mark = next((m for m in marks if CAPTION in map(folded, header_fields(head, m))), marks[0])
    table = open_delimited(Path(name), body, mark, header=True)
    names = _names(table.columns, name)
    for row in table.rows:
        values = row.values
        if values is None and len(table.columns) == 1:
            values = table.with_rest(row, table.columns[0])  # a single column: every comma is part of the caption
        if values is None:
            yield Row(f"line {row.number}", {}, _fault(row, len(table.columns)))
            continue
        yield Row(f"line {row.number}", {column: values[names[column]] for column in names})


def _fault(row: TableRow, columns: int) -> str:
    if row.line is None or row.line.fault:
        return row.line.fault if row.line is not None else "it is damaged"
    fields = len(row.line.fields)
    return f"{fields} field{'s' * (fields != 1)} for {columns} columns: put a text that has a delimiter in quotes"


def _names(columns: Sequence[str], name: str) -> dict[str, str]:
    """Returns the spelling of each known column in a table."""
    names: dict[str, str] = {}
    for column in columns:
        if folded(column) in COLUMNS:
            names.setdefault(folded(column), column)
    if CAPTION not in names:
        found = escaped(", ".join(columns[:20]))[:100]
        raise DataError(
            f"{name} has no column 'caption'{nearest(CAPTION, columns[:500])} (first line: {found}): name it in the "
            "first line, or use a .txt file with a caption a line"
        )
    return names


def _json(text: str, name: str, suffix: str) -> Iterator[Row]:
    content = json_content(Path(name), text) if text.strip() else []
    if content is not None and not isinstance(content, list):
        raise DataError(f"{name} is not a list: expected JSON lines, or [{_EXAMPLE}, …]")
    entries = _json_lines(text, name) if content is None else enumerate(content, start=1)
    unit = "line" if content is None else "entry"
    for number, value in entries:
        where = f"{unit} {number}"
        value = {CAPTION: value} if isinstance(value, str) else value
        if not isinstance(value, dict):
            yield Row(where, {}, f"expected {_EXAMPLE}, not {escaped(repr(value))[:60]}")
            continue
        values = {folded(key): part for key, part in value.items() if folded(key) in COLUMNS}
        hint = nearest(CAPTION, [*value][:500])
        yield Row(where, values, "" if CAPTION in values else f"it has no 'caption'{hint}")


def _json_lines(text: str, name: str) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            yield number, parse_json(line.strip().removesuffix(","), strict=False)
        except ValueError as cause:
            raise DataError(f"{name}, line {number}: not valid JSON ({escaped(str(cause))[:200]})") from cause
