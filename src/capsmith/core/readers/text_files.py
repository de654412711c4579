"""Text files in UTF-8, with or without a byte order mark, or in UTF-16 as spreadsheets write it."""

from pathlib import Path

from capsmith.core.errors import CapsmithError, DataError
from capsmith.core.readers.regular_files import LARGE_FILE, read_bytes

_MARKS = {
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
    b"\xef\xbb\xbf": "utf-8-sig",
}
"""Byte order marks and their encodings, longer marks first."""
_HEAD = 4000  # bytes from which the encoding of a file without a mark is guessed
_SIGNATURES = {
    b"PK\x03\x04": "a ZIP archive or a spreadsheet (.xlsx, .ods): save it as CSV (UTF-8)",
    b"\xd0\xcf\x11\xe0": "an old spreadsheet (.xls): save it as CSV (UTF-8)",
    b"\x1f\x8b": "compressed (gzip): unpack it",
    b"BZh": "compressed (bzip2): unpack it",
    b"\xfd7zXZ": "compressed (xz): unpack it",
    b"PAR1": "a Parquet file: save it as CSV or JSON lines",
    b"SQLite format 3": "an SQLite database: save the table as CSV",
    b"%PDF": "a PDF document: save its table as CSV (UTF-8)",
}
"""First bytes of files that are mistaken for text, each with a description and advice."""


def read_text(path: Path, error: type[CapsmithError] = DataError, limit: int = LARGE_FILE) -> str:
    """Reads UTF-8 text, or UTF-16 and UTF-32 with a byte order mark. All line ends become newlines.

    Args:
        path: The file.
        error: The exception to raise.
        limit: Maximum size in bytes.

    Raises:
        CapsmithError: As ``error``: the file cannot be read, is not text, or has another encoding.
    """
    try:
        raw = read_bytes(path, limit)
    except OSError as cause:
        raise error(f"cannot read {path}: {cause.strerror or cause}") from cause
    if kind := next((kind for start, kind in _SIGNATURES.items() if raw.startswith(start)), ""):
        raise error(f"{path} is {kind}")
    encoding = next((name for mark, name in _MARKS.items() if raw.startswith(mark)), "")
    if not encoding and (reason := _zeros(raw[:_HEAD])):
        raise error(f"{path} {reason}: save it as UTF-8")
    try:
        text = raw.decode(encoding or "utf-8")
    except UnicodeDecodeError as cause:
        if encoding in ("utf-16", "utf-32"):
            name = encoding.upper()
            raise error(
                f"{path} is damaged {name} text ({cause.reason}, byte {cause.start}): save it as UTF-8"
            ) from cause
        raw = raw.removeprefix(b"\xef\xbb\xbf")
        line = raw.count(b"\n", 0, cause.start) + 1
        column = cause.start - (raw.rfind(b"\n", 0, cause.start) + 1) + 1
        what = f"0x{raw[cause.start]:02x} is not UTF-8{_other_encoding(raw)}"
        raise error(f"{path}, line {line}, byte {column}: {what}; save it as UTF-8") from cause
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _zeros(head: bytes) -> str:
    """Returns what the zero bytes at the start of a file indicate, or an empty string if there are few."""
    even, odd, half = head[::2].count(0), head[1::2].count(0), len(head) // 2
    if half >= 8 and max(even, odd) > 0.7 * half >= 4 * min(even, odd):
        return "is UTF-16 text without a byte order mark"
    return "is not text (it holds zero bytes)" if even + odd > 0.1 * len(head) else ""


def _other_encoding(raw: bytes) -> str:
    """Returns a guess at a single-byte encoding for the message, if the text has no control bytes."""
    if any(byte < 32 and byte not in (9, 10, 13) for byte in raw[:_HEAD]):
        return ""
    return " (it may be Windows-1252 or Latin-1, as older programs write)"
