"""CSV tables of numbers with a header line, such as ``history.csv``."""

import csv
import io
import math
from pathlib import Path

from capsmith.core.errors import CapsmithError, escaped, one_line
from capsmith.core.readers.regular_files import LARGE_FILE, read_text

_MAX_SHOWN = 40  # characters of a cell or column name in a message


def read_number_table(path: Path, error: type[CapsmithError], advice: str) -> list[dict[str, float]]:
    """Reads a table whose cells are finite numbers or empty.

    Args:
        path: The file.
        error: The exception to raise.
        advice: What to do if the file is damaged; the end of the message.

    Returns:
        The rows by column; empty cells are omitted.

    Raises:
        CapsmithError: As ``error``: the file cannot be read, column names are missing or repeated, a row has more or
            fewer cells than the header, or a cell is not a number. The message names the line.
    """
    try:
        return _rows(read_text(path, LARGE_FILE))
    except OSError as cause:
        raise error(f"cannot read {path}: {cause.strerror or one_line(cause)}; {advice}") from cause
    except ValueError as cause:
        raise error(f"{path} is damaged: {escaped(one_line(cause))[:300]}; {advice}") from cause


def _rows(text: str) -> list[dict[str, float]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        columns = _columns(next(reader, []))
        return [_numbers(columns, cells, reader.line_num) for cells in reader]
    except csv.Error as cause:
        raise ValueError(f"line {reader.line_num}: {cause}") from cause


def _columns(cells: list[str]) -> list[str]:
    if not cells or not all(cells) or len(set(cells)) != len(cells):
        raise ValueError("line 1 does not name each column once")
    return cells


def _numbers(columns: list[str], cells: list[str], line: int) -> dict[str, float]:
    if len(cells) != len(columns):
        raise ValueError(f"line {line} has {len(cells)} cells, not {len(columns)}")
    row = {}
    for column, cell in zip(columns, cells, strict=True):
        if not cell:
            continue
        try:
            row[column] = float(cell)
        except ValueError:
            row[column] = math.nan
        if not math.isfinite(row[column]) or not cell.isascii() or cell != cell.strip():
            raise ValueError(f"line {line}: {cell[:_MAX_SHOWN]!r} in column {column[:_MAX_SHOWN]!r} is not a number")
    return row
