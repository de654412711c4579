"""One file with a row for each image: JSON lines for programs, CSV for spreadsheets."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

from capsmith.deploy.folder.writers.writer import ENCODING, Result, TableWriter, all_texts

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""First characters that make a spreadsheet read a cell as a formula (OWASP, CSV injection); also full-width ones."""
BOM = b"\xef\xbb\xbf"
"""The byte order mark, without which Excel misreads UTF-8."""
_COLUMNS = ("image", "caption", "log_probability", "unlike_training", "error")


class LinesWriter(TableWriter):
    """JSON lines: ``image`` and what ``--json`` prints, or ``image`` and ``error``. Lossless."""

    def encoded(self, results: Iterable[Result]) -> Iterator[bytes]:
        """Yields the lines."""
        for item, record, error in results:
            line: dict[str, Any] = {"image": item.name, **({"error": error} if record is None else record)}
            yield (json.dumps(line, ensure_ascii=False) + "\n").encode(**ENCODING)


class CsvWriter(TableWriter):
    """CSV in UTF-8 with a byte order mark, without which Excel misreads it.

    A cell that a spreadsheet would run as a formula starts with an apostrophe. With several captions for each image,
    each has its own row.
    """

    def encoded(self, results: Iterable[Result]) -> Iterator[bytes]:
        """Yields the header and the rows."""
        yield BOM + csv_row(_COLUMNS)
        for item, record, error in results:
            for cells in [("", "", "", error)] if record is None else _cells(record):
                yield csv_row([safe_cell(item.name), *cells[:3], safe_cell(cells[3])])


def _cells(record: dict[str, Any]) -> Iterator[tuple[Any, Any, Any, str]]:
    scores = [beam.get("log_probability", "") for beam in record.get("beams", ())]
    unlike = {True: "yes", False: "no", None: ""}[record.get("unlike_training")]
    for number, text in enumerate(all_texts(record)):
        yield safe_cell(text), scores[number] if number < len(scores) else "", unlike, ""


def safe_cell(cell: str) -> str:
    """Returns a text that no spreadsheet runs as a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def csv_row(cells: Iterable[Any]) -> bytes:
    """Returns a row of a CSV file."""
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue().encode(**ENCODING)
