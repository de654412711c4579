"""Turns the rows of a table into captions of images. Deviations with only one possible meaning are repaired."""

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from capsmith.core.readers.caption_tables import Table, TableRow
from capsmith.core.readers.json_files import parse_json
from capsmith.data.image_names import NameResolver
from capsmith.data.record_builder import RecordBuilder
from capsmith.data.splits import split_name

SEPARATORS = ("|||", "||", "|", "<SEP>", "[SEP]", "<sep>", "\\n", "###", "@@")
"""Usual separators of several captions in one field, longer ones first."""
_UNQUOTED = "caption with unquoted separators"
_LIST = "list of captions in one field"
_LONGEST_LIST = 100_000  # characters
_TEXT = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
_TEXTS = re.compile(_TEXT, re.DOTALL)
_LISTED = re.compile(rf"[\[(]\s*(?:{_TEXT})(?:[\s,]+(?:{_TEXT}))*\s*,?\s*[\])]", re.DOTALL)
"""A list of texts as Python or NumPy print it."""


@dataclass(frozen=True)
class Columns:
    """The columns of a table.

    Attributes:
        image: The column with the image name.
        captions: The columns with captions; a field may hold a list. With several columns, empty fields are ignored.
        split: The column with the split, if there is one.
        separator: The separator of several captions in one field; None if a field is one caption.
    """

    image: str
    captions: tuple[str, ...]
    split: str | None = None
    separator: str | None = None


def add_rows(builder: RecordBuilder, table: Table, columns: Columns) -> None:
    """Adds each row of a table. Rows that lack an image or a caption count as problems.

    Args:
        builder: Receives the rows.
        table: The opened table.
        columns: The columns to read.
    """
    names = NameResolver(builder)
    if table.comments:
        builder.repaired.by_kind["comment line"] = [f"line {n + 1}" for n in range(table.comments)]
    for row in table.rows:
        where = f"{table.unit} {row.number}"
        if _is_ignored(row, table, columns, names):
            builder.repaired.add(
                "comment line" if row.line and row.line.text[:1] == "#" else "second header line", where
            )
            continue
        values, remark = row.values, row.remark
        if values is None:
            values, remark = _repaired_values(row, table, columns, names), _UNQUOTED
        if values is None:
            fault = row.line.fault if row.line is not None else ""
            builder.reject(fault or f"row without exactly {len(table.columns)} fields", where)
            continue
        if _add_row(builder, names, values, columns, where) and remark:
            builder.repaired.add(remark, where)


def _add_row(builder: RecordBuilder, names: NameResolver, values: dict[str, Any], columns: Columns, where: str) -> bool:
    """Adds the captions of one row; returns whether the row is valid."""
    image = values.get(columns.image)
    texts, listed = _captions(values, columns)
    word = str(values.get(columns.split) or "") if columns.split else ""
    split = split_name(word)
    if split is None:
        builder.reject("unknown split (train, dev or test)", f"'{word:.80}' in {where}")
    elif not isinstance(image, str) or not all(isinstance(text, str) for text in texts):
        builder.reject(f"row whose '{columns.image}' or '{columns.captions[0]}' is not text", where)
    else:
        for text in texts:
            names.add(image, text, split)
        if listed:
            builder.repaired.add(_LIST, where)
        return True
    return False


def _is_ignored(row: TableRow, table: Table, columns: Columns, names: NameResolver) -> bool:
    """Returns whether a row is a comment, or a repeated header line as in concatenated files."""
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


def _repaired_values(row: TableRow, table: Table, columns: Columns, names: NameResolver) -> dict[str, Any] | None:
    """Returns the values of a row with unquoted delimiters in its caption, if all other fields confirm them."""
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
    """Returns the captions of a row, and whether a field held a list of them."""
    fields = [values.get(column) for column in columns.captions]
    parts = [separated(field, columns.separator) for field in fields]
    texts = [text for part in parts for text in part]
    filled = [text for text in texts if text not in ("", None)] if len(texts) > 1 else texts
    listed = any(isinstance(field, str) and len(part) > 1 for field, part in zip(fields, parts, strict=True))
    return filled or texts[:1], listed and columns.separator is None


def separated(value: Any, separator: str | None = None) -> Sequence[Any]:
    """Returns the captions in one field, which may be a list, or a text with a list in JSON or Python syntax."""
    if isinstance(value, list):
        return value or [value]
    if not isinstance(value, str):
        return [value]
    if separator:
        return [text.strip() for text in value.split(separator)]
    return (_parsed_list(value) if value[:1] in "[(" and value[-1:] in "])" else None) or [value]


def _parsed_list(text: str) -> list[str] | None:
    if not 4 <= len(text) <= _LONGEST_LIST or text[1:].lstrip()[:1] not in ("'", '"'):
        return None
    try:
        content = parse_json(text, strict=False)
    except ValueError:
        content = None
    if isinstance(content, list) and all(isinstance(item, str) for item in content):
        return content
    if _LISTED.fullmatch(text) is None:
        return None
    try:
        return [ast.literal_eval(literal.replace("\n", " ")) for literal in _TEXTS.findall(text)]
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
