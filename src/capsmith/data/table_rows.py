"""From the rows of a table to images and captions, in the forms that captions have; what is evident is put right."""

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from capsmith.core.readers.caption_tables import Table, TableRow
from capsmith.core.readers.json_files import parse_json
from capsmith.data.image_names import Names
from capsmith.data.record_builder import Rows
from capsmith.data.splits import split_name

SEPARATORS = ("|||", "||", "|", "<SEP>", "[SEP]", "<sep>", "\\n", "###", "@@")
"""What people put between several captions in one field, longer ones first."""
_UNQUOTED = "caption with unquoted separators"
_LIST = "list of captions in one field"
_LONGEST_LIST = 100_000  # characters
_TEXT = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
_TEXTS = re.compile(_TEXT, re.DOTALL)
_LISTED = re.compile(rf"[\[(]\s*(?:{_TEXT})(?:[\s,]+(?:{_TEXT}))*\s*,?\s*[\])]", re.DOTALL)
"""A list of texts as Python and NumPy print it."""


@dataclass(frozen=True)
class Columns:
    """Which columns of a table hold what.

    Attributes:
        image: The name of the image.
        captions: Captions; one column may hold a list. Of several, those that are empty in a row are passed over.
        split: The name of the split, if there is such a column.
        separator: What separates several captions in one field; None where a field is one caption.
    """

    image: str
    captions: tuple[str, ...]
    split: str | None = None
    separator: str | None = None


def take_rows(rows: Rows, table: Table, columns: Columns) -> None:
    """Adds each row of a table; rows that are no image and caption are counted as problems.

    Args:
        rows: Where they go.
        table: The opened table.
        columns: Which column holds what.
    """
    names = Names(rows)
    if table.comments:
        rows.repaired.found["comment line"] = [f"line {n + 1}" for n in range(table.comments)]
    for row in table.rows:
        where = f"{table.unit} {row.number}"
        if _passed_over(row, table, columns, names):
            rows.repaired.add("comment line" if row.line and row.line.text[:1] == "#" else "second header line", where)
            continue
        values, remark = row.values, row.remark
        if values is None:
            values, remark = _with_rest(row, table, columns, names), _UNQUOTED
        if values is None:
            fault = row.line.fault if row.line is not None else ""
            rows.reject(fault or f"row without exactly {len(table.columns)} fields", where)
            continue
        if _take(rows, names, values, columns, where) and remark:
            rows.repaired.add(remark, where)


def _take(rows: Rows, names: Names, values: dict[str, Any], columns: Columns, where: str) -> bool:
    """Adds the captions of one row; returns whether it could."""
    image = values.get(columns.image)
    texts, listed = _captions(values, columns)
    word = str(values.get(columns.split) or "") if columns.split else ""
    split = split_name(word)
    if split is None:
        rows.reject("unknown split (train, dev or test)", f"'{word:.80}' in {where}")
    elif not isinstance(image, str) or not all(isinstance(text, str) for text in texts):
        rows.reject(f"row whose '{columns.image}' or '{columns.captions[0]}' is not text", where)
    else:
        for text in texts:
            names.add(image, text, split)
        if listed:
            rows.repaired.add(_LIST, where)
        return True
    return False


def _passed_over(row: TableRow, table: Table, columns: Columns, names: Names) -> bool:
    """Returns whether a row is a comment, or the header line once more, as in files that were put together."""
    line = row.line
    if line is None:
        return False
    if line.text.startswith("#"):
        return row.values is None or not names.is_image(row.values.get(columns.image))
    return (
        table.header
        and line.fields[0].strip("\ufeff") == table.columns[0]
        and tuple(line.fields[1:]) == table.columns[1:]
    )


def _with_rest(row: TableRow, table: Table, columns: Columns, names: Names) -> dict[str, Any] | None:
    """Returns the values of a row whose caption holds separators, where every other field shows that it is right."""
    if len(columns.captions) > 1:
        return None
    values = table.with_rest(row, columns.captions[0])
    if values is None or not names.is_image(values[columns.image]):
        return None
    if columns.split is not None and not split_name(values[columns.split]):
        return None
    others = values.keys() - {columns.image, columns.captions[0], columns.split}
    return values if all(not any(map(str.isalpha, values[column])) for column in others) else None


def _captions(values: dict[str, Any], columns: Columns) -> tuple[list[Any], bool]:
    """Returns the captions of a row, and whether they stood as a list in one field."""
    given = [values.get(column) for column in columns.captions]
    parts = [separated(value, columns.separator) for value in given]
    texts = [text for part in parts for text in part]
    filled = [text for text in texts if text not in ("", None)] if len(texts) > 1 else texts
    listed = any(isinstance(value, str) and len(part) > 1 for value, part in zip(given, parts, strict=True))
    return filled or texts[:1], listed and columns.separator is None


def separated(value: Any, separator: str | None = None) -> Sequence[Any]:
    """Returns the captions in one field: of a list, of a text that is one as JSON or Python write it, or one alone."""
    if isinstance(value, list):
        return value or [value]
    if not isinstance(value, str):
        return [value]
    if separator:
        return [text.strip() for text in value.split(separator)]
    return (_listed(value) if value[:1] in "[(" and value[-1:] in "])" else None) or [value]


def _listed(text: str) -> list[str] | None:
    if not 4 <= len(text) <= _LONGEST_LIST or text[1:].lstrip()[:1] not in ("'", '"'):
        return None
    try:
        found = parse_json(text, strict=False)
    except ValueError:
        found = None
    if isinstance(found, list) and all(isinstance(one, str) for one in found):
        return found
    if _LISTED.fullmatch(text) is None:
        return None
    try:
        return [ast.literal_eval(one.replace("\n", " ")) for one in _TEXTS.findall(text)]
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
