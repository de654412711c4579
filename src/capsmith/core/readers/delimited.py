"""Records of delimited text: CSV, TSV and similar formats, as spreadsheets, scripts and people write them.

Files are read by RFC 4180. A deviation with a clear meaning is accepted, and described in ``Line.remark``: a space
after a closing quote, quotes that are not doubled, a complete row in quotes. An unclosed quote makes its own line
unusable (``Line.fault``), but not the lines after it. In text delimited by tabs or ``|``, only quotes around a complete
field are special. The time is linear in the length of the text.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

DELIMITERS = ",;\t|"
MAX_FIELD = 131_072  # characters
UNCLOSED = "row with a quote that is not closed"
TOO_LONG = f"row with a field of more than {MAX_FIELD:,} characters"
_LENIENT = "quotes that are not doubled, or do not enclose the complete field"
_QUOTED_ROW = "complete row in quotes"
_ROW_START = re.compile(
    r"\s*[\"']?[^\"',;\t|]{1,255}\.(?:jpe?g|png|gif|bmp|webp|tiff?)(?:#\d+)?[\"']?\s*[,;\t|]", re.IGNORECASE
)
"""The start of a line that is a new row, not the continuation of a quoted caption."""
_COMMENT = re.compile(r"#(?:[\s#!]|[^,;\t|]*$)")
"""Matches ``# a comment``, but not the column names ``#image,caption``."""
_CLOSE = {mark: re.compile(rf"[^\S{mark}]*(?:{re.escape(mark)}|\Z)") for mark in DELIMITERS}
"""Patterns of the text after a closing quote, by delimiter."""


class Line(NamedTuple):
    """One record.

    Attributes:
        number: The number of its first line, from 1.
        fields: Its fields, without quotes and surrounding spaces.
        text: The record as it is in the file.
        remark: Its deviation from the format, if it could be read anyway; else empty.
        fault: Why it cannot be used; empty if it can.
    """

    number: int
    fields: list[str]
    text: str
    remark: str = ""
    fault: str = ""


@dataclass(frozen=True)
class Body:
    """A text without the lines before its first record.

    Attributes:
        text: The remaining text.
        first: The number of its first line.
        delimiter: The delimiter that the file states in a line ``sep=;``, as Excel writes it; else empty.
        comments: The number of comment lines before it.
    """

    text: str
    first: int = 1
    delimiter: str = ""
    comments: int = 0


def body_of(text: str) -> Body:
    """Skips empty lines, comments and a line ``sep=;`` at the start of a text."""
    place, number, delimiter, comments = 0, 1, "", 0
    while place < len(text):
        end = text.find("\n", place)
        end = len(text) if end < 0 else end
        line = text[place:end].strip()
        if stated := re.fullmatch(r"\"?sep=([,;\t|])\"?", text[place:end].strip(" \ufeff"), re.IGNORECASE):
            delimiter = stated[1]
        elif _COMMENT.match(line) and not _ROW_START.match(line):
            comments += 1
        elif line:
            break
        place, number = end + 1, number + 1
    return Body(text[place:], number, delimiter, comments)


def read_lines(text: str, delimiter: str, first: int = 1) -> Iterator[Line]:
    """Yields the records of a text; empty lines and records with only empty fields are skipped.

    Args:
        text: The text, with newlines as line ends.
        delimiter: ``,`` ``;`` tab ``|``, or a space, which separates the first word from the rest of the line.
        first: The number of the first line.
    """
    lines = text.split("\n")
    index = stop = failed = 0
    while index < len(lines):
        record, number = lines[index], first + index
        index += 1
        if not record.strip():
            continue
        fields, remark, opened = split_fields(record, delimiter)
        if opened and index > failed:
            stop = _next_end(lines, index)
            joined = "\n".join(lines[index - 1 : stop + 1])
            complete = split_fields(joined, delimiter) if _may_end(lines, stop, joined) else None
            if complete is not None and not complete[2]:
                (fields, remark, opened), record, index = complete, joined, stop + 1
            else:
                failed = stop
        if opened and delimiter in ",;":
            yield Line(number, fields, record, fault=UNCLOSED)
        elif max(map(len, fields), default=0) > MAX_FIELD:
            yield Line(number, fields, record, fault=TOO_LONG)
        elif any(fields):
            inner = _unwrapped(fields, record, delimiter)
            if inner is not None:
                fields, record, remark = split_fields(inner, delimiter)[0], inner, _QUOTED_ROW
            yield Line(number, fields, record, remark)


def _next_end(lines: list[str], index: int) -> int:
    """Returns the line that closes a field opened before ``index``, or that proves that it is never closed."""
    while index < len(lines) and not lines[index].count('"') % 2 and not _ROW_START.match(lines[index]):
        index += 1
    return index


def _may_end(lines: list[str], stop: int, joined: str) -> bool:
    return stop < len(lines) and len(joined) <= MAX_FIELD and not _ROW_START.match(lines[stop])


def _unwrapped(fields: list[str], record: str, delimiter: str) -> str | None:
    """Returns the row inside a record that is a single quoted field with delimiters in it; else None."""
    if len(fields) > 1 or delimiter == " " or delimiter not in fields[0] or record.lstrip()[:1] != '"':
        return None
    return fields[0]


def split_fields(record: str, delimiter: str) -> tuple[list[str], str, bool]:
    """Returns a record's fields, a remark about their format, and whether a quote is still open at the end."""
    if delimiter == " ":
        return record.split(None, 1), "", False
    if '"' not in record:
        return [field.strip() for field in record.split(delimiter)], "", False
    if len(record) <= MAX_FIELD:
        try:
            fields = next(csv.reader([record], delimiter=delimiter, strict=True, skipinitialspace=True))
        except (csv.Error, StopIteration):
            pass
        else:
            fields = [field.strip() for field in fields]
            if "\\" not in record:
                return fields, "", False
    cells, remark, opened = _cells(record, delimiter)
    return [value for _, _, value in cells], remark, opened


def rest_of(line: Line, delimiter: str, before: int, after: int) -> str:
    """Returns the text between the first and the last fields of a record, delimiters included.

    Args:
        line: A record with more than ``before + after`` fields.
        delimiter: The delimiter of its fields.
        before: The number of first fields.
        after: The number of last fields.
    """
    cells = _cells(line.text, delimiter)[0]
    text = line.text[cells[before][0] : cells[len(cells) - after - 1][1]].strip()
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    inner = text[1:-1]
    first = inner.replace('""', "  ").find('"')
    return _undoubled(inner).strip() if first < 0 or _opens(inner, first) else text


def _cells(record: str, delimiter: str) -> tuple[list[tuple[int, int, str]], str, bool]:
    """Returns start, end and value of each field; a remark; and whether a quote is still open at the end."""
    cells: list[tuple[int, int, str]] = []
    left = record.count('"')  # quotes in the rest of the record
    place, remark, opened, ends = 0, "", False, True
    while place <= len(record):
        start = place
        while start < len(record) and record[start].isspace() and record[start] != delimiter:
            start += 1
        quoted = None
        if ends and record.startswith('"', start):
            quoted, ends = _quoted(record, start, delimiter, left % 2 == 0)
        if quoted is None:
            end = record.find(delimiter, start)
            end = len(record) if end < 0 else end
            value = record[start:end].strip()
            if value.startswith('"'):
                opened = opened or left % 2 == 1
                remark = remark if left % 2 == 1 or delimiter in "\t|" else _LENIENT
        else:
            end, value, strict = quoted
            remark = remark if strict else _LENIENT
        left -= record.count('"', place, end)
        cells.append((place, end, value))
        place = end + 1
    return cells, remark, opened


def _quoted(record: str, start: int, delimiter: str, even: bool) -> tuple[tuple[int, str, bool] | None, bool]:
    """Reads a field that starts with a quote.

    Args:
        record: The record.
        start: The position of the quote.
        delimiter: The delimiter of fields.
        even: Whether the number of quotes from there on is even.

    Returns:
        The end of the field, its value, and whether it follows the format; None if the quotes do not enclose it. The
        second value is False if the record has no closing quote.
    """
    place, strict = start + 1, True
    while (place := record.find('"', place)) >= 0:
        if record[place - 1] == "\\" and place - 1 > start:
            place, strict = place + 1, False  # \", as databases write it
        elif record.startswith('""', place):
            place += 2
        elif closed := _CLOSE[delimiter].match(record, place + 1):
            end = closed.end() - 1 if closed[0].endswith(delimiter) else len(record)
            return (end, _undoubled(record[start + 1 : place]).strip(), strict), True
        elif delimiter in "\t|" or (strict and not _opens(record, place, start)):
            return None, True
        else:
            strict, place = False, place + 1
    last = len(record.rstrip()) - 1
    if even and record[last] == '"' and delimiter in ",;" and last > start + 1:
        return (len(record), _undoubled(record[start + 1 : last]).strip(), False), True  # "he said "hi"": the last two
    return None, False


def _opens(text: str, place: int, start: int = -1) -> bool:
    """Returns whether a quote inside a quoted field opens a quotation rather than ending the field."""
    return place <= start + 1 or text[place - 1].isspace() or text[place - 1] in "([\\"


def _undoubled(inner: str) -> str:
    return inner.replace('\\"', '"').replace('""', '"')
