"""The SQLite file of a project: opened, checked, and written by one process.

Write-ahead log with ``synchronous=FULL``: a transaction that returned is on disk, whatever happens to the process or
the machine. Readers in other processes do not wait for the writer.
"""

import os
import sqlite3
import stat
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from capsmith.core.locks import locked
from capsmith.deploy.studio.project import DATABASE, LOCK, StudioBusy, StudioError, make_project

VERSION = 1
"""Version of the schema."""
_APPLICATION = 0x63617073  # "caps": marks the file as one of capsmith
_WAIT = 5.0  # seconds to wait for a reader
_SCHEMA = (
    "CREATE TABLE project (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT",
    """CREATE TABLE images (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name BLOB NOT NULL UNIQUE,       -- relative path: bytes, since a file name need not be UTF-8
  place INTEGER NOT NULL,          -- its place in the listing
  missing INTEGER NOT NULL DEFAULT 0,
  size INTEGER NOT NULL,           -- of the file in bytes
  mtime INTEGER NOT NULL,          -- nanoseconds
  width INTEGER,
  height INTEGER,
  status TEXT NOT NULL DEFAULT 'pending',
  revision INTEGER NOT NULL DEFAULT 0,
  caption TEXT NOT NULL DEFAULT '',
  proposed TEXT NOT NULL DEFAULT '',
  log_probability REAL,
  per_word REAL,                   -- mean log-probability of a word
  model TEXT NOT NULL DEFAULT '',  -- that proposed
  error TEXT NOT NULL DEFAULT '',
  words TEXT NOT NULL DEFAULT '',  -- of caption and file name, as a search compares them
  details TEXT NOT NULL DEFAULT '{}'
) STRICT""",
    """CREATE TABLE history (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  image INTEGER NOT NULL REFERENCES images (id),
  time INTEGER NOT NULL,           -- milliseconds since 1970
  action TEXT NOT NULL,
  old_status TEXT NOT NULL,
  old_caption TEXT NOT NULL,
  status TEXT NOT NULL,
  caption TEXT NOT NULL,
  revision INTEGER NOT NULL,
  undone INTEGER NOT NULL DEFAULT 0
) STRICT""",
    "CREATE INDEX by_place ON images (missing, place)",
    "CREATE INDEX by_status ON images (missing, status, place)",
    "CREATE INDEX by_per_word ON images (missing, per_word IS NULL, per_word, place)",
    "CREATE INDEX by_probability ON images (missing, log_probability DESC, place)",
    "CREATE INDEX history_of ON history (image, id)",
)


class Database:
    """An open database; ``Database.open`` and ``Database.read`` make one. Its methods may be called by any thread.

    Args:
        path: The file.
        writer: Connection that changes it; None if it was opened for reading only.
        reader: Connection that reads.
        held: What is released at the end.
    """

    def __init__(self, path: Path, writer: sqlite3.Connection | None, reader: sqlite3.Connection, held: ExitStack):
        self.path = path
        self._writer, self._reader, self._held = writer, reader, held
        self._writing, self._reading = threading.Lock(), threading.Lock()
        self._file = _identity(path)
        self._closed = False

    @classmethod
    def open(cls, project: Path) -> "Database":
        """Opens the database of a project, which is created if missing, and holds its lock until it is closed.

        Raises:
            StudioBusy: Another process has it open.
            StudioError: It cannot be written, is damaged, or is the database of another program.
        """
        make_project(project)
        path = project / DATABASE
        busy = f"another capsmith studio has {project} open: stop it, or name another folder with --project"
        with ExitStack() as held:
            held.enter_context(locked(project, busy, StudioBusy, LOCK))
            _require_file(path)
            with _explained(path):
                writer = _connect(path, "rwc", held)
                _create(writer, path)
                writer.execute("PRAGMA journal_mode = WAL")
                writer.execute("PRAGMA synchronous = FULL")
                reader = _connect(path, "rw", held)
                reader.execute("PRAGMA query_only = ON")
            return cls(path, writer, reader, held.pop_all())

    @classmethod
    def read(cls, project: Path) -> "Database":
        """Opens the database of a project for reading, even while a studio has it open.

        Raises:
            StudioError: It cannot be read, is damaged, or is the database of another program.
        """
        path = project / DATABASE
        with ExitStack() as held:
            _require_file(path)
            with _explained(path):
                if not path.is_file():
                    raise StudioError(f"{path}: no such file")
                # a folder that cannot be written, without the files of a writer: nobody can be writing
                alone = not os.access(project, os.W_OK) and not os.path.lexists(f"{path}-wal")
                reader = _connect(path, "ro", held, immutable=alone)
                _check(reader, path)
            return cls(path, None, reader, held.pop_all())

    def close(self) -> None:
        """Closes the database and releases its lock."""
        with self._writing, self._reading:
            self._closed = True
            self._held.close()

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """Makes the statements inside the block one transaction, which is on disk at its end.

        Raises:
            StudioError: The database cannot be written, or was removed meanwhile; nothing was changed.
        """
        with self._writing, _explained(self.path):
            if self._writer is None or self._closed:
                raise StudioError(f"{self.path} is not open for writing")
            if _identity(self.path) != self._file:
                raise StudioError(f"{self.path} was removed or replaced: restart the studio")
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    if self._writer.in_transaction:
                        self._writer.execute("ROLLBACK")
                raise

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Returns the rows of a query.

        Raises:
            StudioError: The database cannot be read.
        """
        with self._reading, _explained(self.path):
            if self._closed:
                raise StudioError(f"{self.path} is closed")
            return self._reader.execute(sql, values).fetchall()


def _connect(path: Path, mode: str, held: ExitStack, immutable: bool = False) -> sqlite3.Connection:
    address = f"{path.absolute().as_uri()}?mode={mode}{'&immutable=1' if immutable else ''}"
    connection = sqlite3.connect(address, _WAIT, isolation_level=None, check_same_thread=False, uri=True)
    held.callback(connection.close)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA trusted_schema = OFF")  # the folder may come from somebody else
    connection.execute("PRAGMA cell_size_check = ON")
    return connection


def _create(connection: sqlite3.Connection, path: Path) -> None:
    """Creates the tables in an empty database; checks any other."""
    if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] or _pragma(connection, "application_id"):
        _check(connection, path)
        return
    connection.execute("BEGIN IMMEDIATE")
    for statement in _SCHEMA:
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {_APPLICATION}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")


def _check(connection: sqlite3.Connection, path: Path) -> None:
    """Checks that a database is one of this program, of this version, and undamaged.

    Raises:
        StudioError: It is not.
    """
    if _pragma(connection, "application_id") != _APPLICATION:
        raise StudioError(f"{path} is the database of another program: name another folder with --project")
    version = _pragma(connection, "user_version")
    if version > VERSION:
        raise StudioError(f"{path} was made by a newer capsmith (format {version}, not {VERSION}): update capsmith")
    found = {row[0] for row in connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")}
    if {statement for statement in found if "sqlite_sequence" not in statement} != set(_SCHEMA):
        raise StudioError(f"{path} is damaged (its tables are not those of a studio): {_ADVICE}")
    if (result := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
        raise StudioError(f"{path} is damaged ({str(result).splitlines()[0][:120]}): {_ADVICE}")


_ADVICE = "move it away to start anew, or bring back a copy"


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _require_file(path: Path) -> None:
    if os.path.lexists(path) and not stat.S_ISREG(os.lstat(path).st_mode):
        raise StudioError(f"{path} is not a regular file: move it, or name another folder with --project")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turns errors of SQLite into one line."""
    try:
        yield
    except sqlite3.OperationalError as error:
        advice = "; free some space" if "full" in str(error) else ""
        raise StudioError(f"cannot use {path}: {error}{advice}") from error
    except sqlite3.DatabaseError as error:
        raise StudioError(f"{path} is damaged or not a database ({error}): {_ADVICE}") from error
