"""Captions in tables: CSV, TSV, JSON or JSON lines. Each row has an image, a caption and optionally a split."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from capsmith.core.errors import DataError
from capsmith.core.readers.caption_tables import (
    DELIMITERS,
    JSON,
    SAMPLE_ROWS,
    Table,
    header_fields,
    json_content,
    open_delimited,
    open_json_lines,
    open_json_list,
)
from capsmith.core.readers.delimited import Body, body_of, read_lines
from capsmith.core.readers.text_files import read_text
from capsmith.core.spelling import nearest
from capsmith.data.image_names import is_file_name
from capsmith.data.json_rows import json_rows

Delimiter = Literal["comma", "semicolon", "tab", "pipe", "space"]
Column = Annotated[str, BeforeValidator(lambda value: str(value) if type(value) is int else value)]
"""The name of a column, or its number in a table without a header line."""
_TABS = (".tsv", ".tab")


def read_table(path: Path, required: Mapping[str, str], header: bool = True, delimiter: str | None = None) -> Table:
    """Opens a table by its suffix: ``.json``, ``.jsonl`` and ``.ndjson``, ``.tsv``, otherwise CSV.

    The delimiter of CSV may be a comma, a semicolon, a tab or ``|``: the first that yields the required columns.

    Args:
        path: The file.
        required: The columns that must exist, by the config field that names them.
        header: Whether the first row names the columns; otherwise their names are ``1``, ``2`` and so on.
        delimiter: The name of the delimiter; None detects it.

    Raises:
        DataError: A column is missing, or the file is not such a table.
    """
    text = read_text(path)
    if not text.strip():
        raise DataError(f"{path} is empty: it needs the columns {', '.join(required.values())}")
    if path.suffix.lower() in JSON:
        table = open_json(path, text)
    else:
        body = body_of(text)
        names = tuple(required.values()) if header else ()
        least = _least_columns(required)
        mark = DELIMITERS[delimiter] if delimiter else body.delimiter or _detected(path, body, names, least)
        table = open_delimited(path, body, mark, header, least)
    columns = set(table.columns)
    for key, column in required.items():
        if column not in columns:
            raise DataError(_missing_column(path, table, key, column))
    return table


def _missing_column(path: Path, table: Table, key: str, column: str) -> str:
    """Returns the message about a missing column."""
    if table.header:
        place = next((n for n, field in enumerate(table.columns, start=1) if is_file_name(field)), None)
        if place is not None:
            other = 2 if place == 1 else 1
            row = f"{table.columns[place - 1]:.60}"
            return (
                f"{path} has no column '{column}' (data.{key}): its first line is a row ({row}). "
                f"Set data.header: false, data.image_column: {place} and data.caption_column: {other}, or add a "
                "header line with the column names"
            )
    elif table.unit == "line" and table.delimiter:
        return (
            f"{path} has {len(table.columns)} columns, numbered from 1 (data.header is false), "
            f"and none is '{column}': correct data.{key}"
        )
    columns = f"columns found: {', '.join(table.columns[:50]):.100}"
    return f"{path} has no column '{column}'{nearest(column, table.columns[:500])} ({columns}); name it with data.{key}"


def _least_columns(required: Mapping[str, str]) -> int:
    """Returns the smallest number of columns of a table without a header line that has the required columns."""
    return max((int(column) for column in required.values() if column.isdecimal() and len(column) < 6), default=2)


def _detected(path: Path, body: Body, required: Sequence[str], least: int) -> str:
    """Returns the delimiter that yields the required columns, or enough fields in the most rows."""
    candidates = "\t,;|" if path.suffix.lower() in _TABS else ",;\t|"
    if required:
        head = body.text.split("\n", 1)[0]
        names = set(required)
        return next((mark for mark in candidates if names <= set(header_fields(head, mark))), candidates[0])
    samples = {mark: list(itertools.islice(read_lines(body.text, mark), SAMPLE_ROWS)) for mark in "\t,;|"}
    return max(samples, key=lambda mark: sum(len(line.fields) >= least for line in samples[mark]))


def open_json(path: Path, text: str) -> Table:
    """Opens JSON or JSON lines, regardless of the suffix.

    Raises:
        DataError: The text is neither, or has no rows.
    """
    content = json_content(path, text)
    return open_json_lines(path, text) if content is None else json_table(path, content)


def json_table(path: Path, content: Any) -> Table:
    """Opens the content of a ``.json`` file; raises DataError when it has none of the known forms."""
    return open_json_list(path, json_rows(path, content))
