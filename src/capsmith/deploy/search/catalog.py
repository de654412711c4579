"""The database of an index: which images there are, their contents, and the words of their captions.

An image is a name in the folder. Its content is what the file holds, known by its SHA-256: images of one content share
their vectors, and a moved image is not encoded again. The vectors of a content are one row of the vector files.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from capsmith.core.database import Database, DatabaseFormat
from capsmith.deploy.folder.names import name_inside
from capsmith.deploy.search.index_file import ADVICE, ImageIndexError, IndexBusy
from capsmith.deploy.search.vector_file import VectorFile

DATABASE, LOCK = "images.sqlite", "index.lock"
VERSION = 1
"""Version of the schema."""
CHECKED = 64 << 20
"""Bytes of a database and of vectors up to which they are searched for damage whenever an index is opened."""
_SCHEMA = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT",
    """CREATE TABLE contents (
  id INTEGER PRIMARY KEY,
  hash BLOB NOT NULL UNIQUE,       -- SHA-256 of the file
  row INTEGER NOT NULL UNIQUE,     -- of the vectors
  look INTEGER NOT NULL,           -- 64 bits, nearly the same for near-duplicates
  caption TEXT,
  length INTEGER NOT NULL DEFAULT 0,  -- of the caption in words
  captioner TEXT NOT NULL DEFAULT ''  -- fingerprint of what wrote it
) STRICT""",
    """CREATE TABLE images (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name BLOB NOT NULL UNIQUE,       -- relative path: bytes, since a file name need not be UTF-8
  size INTEGER NOT NULL,           -- of the file in bytes
  mtime INTEGER NOT NULL,          -- nanoseconds
  content INTEGER REFERENCES contents (id),
  error TEXT NOT NULL DEFAULT ''   -- why it has no content
) STRICT""",
    """CREATE TABLE blocks (
  first INTEGER PRIMARY KEY,       -- row of vectors that were written together
  count INTEGER NOT NULL,
  semantic INTEGER NOT NULL,       -- CRC-32
  visual INTEGER NOT NULL
) STRICT""",
    """CREATE TABLE words (
  word TEXT NOT NULL,
  content INTEGER NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (word, content)
) STRICT, WITHOUT ROWID""",
    "CREATE INDEX images_of ON images (content)",
)
_FORMAT = DatabaseFormat(
    file=DATABASE,
    lock=LOCK,
    application=0x63617069,  # "capi"
    version=VERSION,
    schema=_SCHEMA,
    kind="an index",
    error=ImageIndexError,
    busy_error=IndexBusy,
    other_place="name another folder with --out",
    repair=ADVICE,
    reopen="open the index again",
    largest=1 << 20,
    checked=CHECKED,
)
_ROWS, _NUMBER, _ROOT, _CHANGES = "rows", "number", "root", "changes"
_MOST = 1 << 40  # rows and numbers beyond are damage


class State(NamedTuple):
    """What the database says about the vector files.

    Attributes:
        rows: Committed rows.
        number: Number of the files.
        changes: Transactions so far: another one means that the index changed.
    """

    rows: int
    number: int
    changes: int


def open_catalog(folder: Path) -> Database:
    """Opens the database of an index for the one process that writes it.

    Raises:
        IndexBusy: Another process writes it.
        ImageIndexError: It cannot be written, or is damaged.
    """
    return Database.open(folder, _FORMAT, f"another process writes {folder}: wait for it, or stop it")


def read_catalog(folder: Path) -> Database:
    """Opens the database of an index for reading, even while another process writes it.

    Raises:
        ImageIndexError: It cannot be read, or is damaged.
    """
    return Database.read(folder, _FORMAT)


def state_of(database: Database) -> State:
    """Returns what is committed.

    Raises:
        ImageIndexError: The numbers make no sense.
    """
    values = {key: value for key, value in database.rows("SELECT key, value FROM meta WHERE key != ?", (_ROOT,))}
    numbers = [values.get(key, 0) for key in (_ROWS, _NUMBER, _CHANGES)]
    if not all(type(number) is int and 0 <= number < _MOST for number in numbers):
        raise ImageIndexError(f"{database.path} is damaged ({numbers!r:.80} rows): {ADVICE}")
    return State(*numbers)


def live_rows(database: Database, state: State) -> np.ndarray:
    """Returns the rows of vectors that belong to a content, in order.

    Raises:
        ImageIndexError: There are no such vectors.
    """
    rows = np.array([row[0] for row in database.rows("SELECT row FROM contents ORDER BY row")], np.int64)
    if len(rows) and not 0 <= rows[0] <= rows[-1] < state.rows:
        raise ImageIndexError(f"{database.path} is damaged (vector {rows[-1]} of {state.rows}): {ADVICE}")
    return rows


def keep_state(connection: sqlite3.Connection, state: State) -> None:
    """Saves it, in a transaction."""
    values = zip((_ROWS, _NUMBER, _CHANGES), state, strict=True)
    connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values)


def root_of(database: Database) -> bytes | None:
    """Returns the name of the folder of the images as ``kept_root`` made it; None if it is not known yet."""
    rows = database.rows("SELECT value FROM meta WHERE key = ?", (_ROOT,))
    if rows and not (isinstance(rows[0][0], bytes) and b"\0" not in rows[0][0]):
        raise ImageIndexError(f"{database.path} is damaged (the folder of its images): {ADVICE}")
    return rows[0][0] if rows else None


def keep_root(database: Database, name: bytes) -> None:
    """Saves the name of the folder of the images."""
    with database.change() as connection:
        connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_ROOT, name))


def check_blocks(database: Database, files: Sequence[VectorFile]) -> None:
    """Compares the checksums of all vectors.

    Raises:
        ImageIndexError: One differs.
    """
    blocks = database.rows("SELECT first, count, semantic, visual FROM blocks ORDER BY first")
    end = 0
    for first, count, *sums in blocks:
        for file, known in zip(files, sums, strict=True):
            if first != end or not 0 < count <= file.rows - first or file.checksum(first, count) != known:
                raise ImageIndexError(f"{file.path} is damaged (vectors from {first}): {ADVICE}")
        end = first + count
    if end != files[0].rows:
        raise ImageIndexError(f"{database.path} is damaged ({end} of {files[0].rows} vectors known): {ADVICE}")


def checked_name(database: Database, name: bytes) -> str:
    """Returns the path of an image relative to the folder of the images, as the database has it.

    Raises:
        ImageIndexError: It leads out of the folder: the index was tampered with.
    """
    try:
        return name_inside(name)
    except ValueError as error:
        raise ImageIndexError(f"{database.path} is damaged: {error}; {ADVICE}") from error
