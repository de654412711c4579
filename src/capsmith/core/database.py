"""SQLite files that a program of ours keeps: opened, checked, and written by one process.

Write-ahead log with ``synchronous=FULL``: a transaction that returned is on disk, whatever happens to the process or
the machine. Readers in other processes do not wait for the writer. A file may come from somebody else: it is refused
unless its tables are exactly those of its format, so no trigger or view of it ever runs.
"""

import os
import sqlite3
import stat
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capsmith.core.errors import CapsmithError
from capsmith.core.locks import locked

_WAIT = 5.0  # seconds to wait for a reader
_BESIDE = ("", "-wal", "-shm", "-journal")  # files of one database


@dataclass(frozen=True)
class DatabaseFormat:
    """What a database contains, and how messages speak of it.

    Attributes:
        file: Its file name.
        lock: The name of the lock file beside it.
        application: Marks the file as one of this kind: SQLite's ``application_id``.
        version: Version of the schema.
        schema: The statements that create it.
        kind: What it belongs to, such as ``a studio``.
        error: The exception for everything that is wrong with it.
        busy_error: The exception if another process has it open.
        other_place: Advice: how to name another folder.
        repair: Advice: what to do with a damaged file.
        reopen: Advice: what to do if it was replaced while it was open.
        largest: Largest text or blob in bytes that is read.
        checked: A larger file is not searched for damage when it is opened for reading.
    """

    file: str
    lock: str
    application: int
    version: int
    schema: tuple[str, ...]
    kind: str
    error: type[CapsmithError]
    busy_error: type[CapsmithError]
    other_place: str
    repair: str
    reopen: str
    largest: int = 1_000_000_000
    checked: int = 1 << 62


class Database:
    """An open database; ``Database.open`` and ``Database.read`` make one. Its methods may be called by any thread.

    Args:
        path: The file.
        kind: Its format.
        writer: Connection that changes it; None if it was opened for reading only.
        reader: Connection that reads.
        held: What is released at the end.
    """

    def __init__(
        self,
        path: Path,
        kind: DatabaseFormat,
        writer: sqlite3.Connection | None,
        reader: sqlite3.Connection,
        held: ExitStack,
    ) -> None:
        self.path, self.format = path, kind
        self._writer, self._reader, self._held = writer, reader, held
        self._writing, self._reading = threading.Lock(), threading.Lock()
        self._file = _identity(path)
        self._closed = False

    @classmethod
    def open(cls, folder: Path, kind: DatabaseFormat, busy: str) -> "Database":
        """Opens the database of a folder, which is created if missing, and holds its lock until it is closed.

        Args:
            folder: An existing folder.
            kind: The format.
            busy: The message if another process has it open.

        Raises:
            CapsmithError: As the format says: another process has it open, it cannot be written, is damaged, or is
                the database of another program.
        """
        path = folder / kind.file
        with ExitStack() as held:
            held.enter_context(locked(folder, busy, kind.busy_error, kind.lock))
            _require_file(path, kind)
            with _explained(path, kind):
                writer = _connect(path, kind, "rwc", held)
                _create(writer, path, kind)
                writer.execute("PRAGMA journal_mode = WAL")
                writer.execute("PRAGMA synchronous = FULL")
                reader = _connect(path, kind, "rw", held)
                reader.execute("PRAGMA query_only = ON")
            return cls(path, kind, writer, reader, held.pop_all())

    @classmethod
    def read(cls, folder: Path, kind: DatabaseFormat) -> "Database":
        """Opens the database of a folder for reading, even while another process writes it.

        Raises:
            CapsmithError: As the format says: it cannot be read, is damaged, or is the database of another program.
        """
        path = folder / kind.file
        with ExitStack() as held:
            _require_file(path, kind)
            with _explained(path, kind):
                if not path.is_file():
                    raise kind.error(f"{path}: no such file")
                # a folder that cannot be written, without the files of a writer: nobody can be writing
                alone = not os.access(folder, os.W_OK) and not os.path.lexists(f"{path}-wal")
                reader = _connect(path, kind, "ro", held, immutable=alone)
                _check(reader, path, kind, path.stat().st_size <= kind.checked)
            return cls(path, kind, None, reader, held.pop_all())

    def close(self) -> None:
        """Closes the database and releases its lock."""
        with self._writing, self._reading:
            self._closed = True
            self._held.close()

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """Makes the statements inside the block one transaction, which is on disk at its end.

        Raises:
            CapsmithError: The database cannot be written, or was removed meanwhile; nothing was changed.
        """
        with self._writing, _explained(self.path, self.format):
            if self._writer is None or self._closed:
                raise self.format.error(f"{self.path} is not open for writing")
            if _identity(self.path) != self._file:
                raise self.format.error(f"{self.path} was removed or replaced: {self.format.reopen}")
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
            CapsmithError: The database cannot be read.
        """
        with self._reading, _explained(self.path, self.format):
            if self._closed:
                raise self.format.error(f"{self.path} is closed")
            return self._reader.execute(sql, values).fetchall()


def _connect(
    path: Path, kind: DatabaseFormat, mode: str, held: ExitStack, immutable: bool = False
) -> sqlite3.Connection:
    address = f"{path.absolute().as_uri()}?mode={mode}{'&immutable=1' if immutable else ''}"
    connection = sqlite3.connect(address, _WAIT, isolation_level=None, check_same_thread=False, uri=True)
    held.callback(connection.close)
    connection.row_factory = sqlite3.Row
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, kind.largest)
    connection.execute("PRAGMA trusted_schema = OFF")  # the folder may come from somebody else
    connection.execute("PRAGMA cell_size_check = ON")
    return connection


def _create(connection: sqlite3.Connection, path: Path, kind: DatabaseFormat) -> None:
    """Creates the tables in an empty database; checks any other."""
    if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] or _pragma(connection, "application_id"):
        _check(connection, path, kind)
        return
    connection.execute("BEGIN IMMEDIATE")
    for statement in kind.schema:
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {kind.application}")
    connection.execute(f"PRAGMA user_version = {kind.version}")
    connection.execute("COMMIT")


def _check(connection: sqlite3.Connection, path: Path, kind: DatabaseFormat, thorough: bool = True) -> None:
    """Checks that a database is one of this program, of this version, and undamaged.

    Raises:
        CapsmithError: It is not.
    """
    if _pragma(connection, "application_id") != kind.application:
        raise kind.error(f"{path} is the database of another program: {kind.other_place}")
    version = _pragma(connection, "user_version")
    if version > kind.version:
        raise kind.error(f"{path} was made by a newer capsmith (format {version}, not {kind.version}): update capsmith")
    found = {row[0] for row in connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")}
    if {statement for statement in found if "sqlite_sequence" not in statement} != set(kind.schema):
        raise kind.error(f"{path} is damaged (its tables are not those of {kind.kind}): {kind.repair}")
    if thorough and (result := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
        raise kind.error(f"{path} is damaged ({str(result).splitlines()[0][:120]}): {kind.repair}")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _require_file(path: Path, kind: DatabaseFormat) -> None:
    for ending in _BESIDE:
        file = f"{path}{ending}"
        if os.path.lexists(file) and not stat.S_ISREG(os.lstat(file).st_mode):
            raise kind.error(f"{file} is not a regular file: move it, or {kind.other_place}")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


@contextmanager
def _explained(path: Path, kind: DatabaseFormat) -> Iterator[None]:
    """Turns errors of SQLite into one line."""
    try:
        yield
    except sqlite3.OperationalError as error:
        advice = "; free some space" if "full" in str(error) else ""
        raise kind.error(f"cannot use {path}: {error}{advice}") from error
    except sqlite3.DatabaseError as error:
        raise kind.error(f"{path} is damaged or not a database ({error}): {kind.repair}") from error
