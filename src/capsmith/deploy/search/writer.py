"""An index that is open for writing: vectors first, then one transaction that makes them count."""

import os
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from capsmith.core.database import Database
from capsmith.core.errors import ConfigError
from capsmith.deploy.folder.journal import Stamp
from capsmith.deploy.folder.names import kept_root
from capsmith.deploy.search.catalog import (
    DATABASE,
    LOCK,
    State,
    check_blocks,
    keep_root,
    keep_state,
    live_rows,
    open_catalog,
    root_of,
    state_of,
)
from capsmith.deploy.search.index_file import ADVICE, FILE, ImageIndexError, IndexFile
from capsmith.deploy.search.vector_file import KINDS, VectorFile, copied, remove_others
from capsmith.deploy.search.words import counted
from capsmith.retrieval.embedder import Embedder

_OWN = {FILE, LOCK, *(f"{DATABASE}{ending}" for ending in ("", "-wal", "-shm", "-journal"))}
MAX_ERROR = 1000
"""Characters of an error that are kept."""


class Known(NamedTuple):
    """An image of the index; ``hash`` is that of its content, None if it could not be read."""

    id: int
    stamp: Stamp
    hash: bytes | None


class Uncaptioned(NamedTuple):
    """A content without a caption: its number, the name of an image of it, and its hash."""

    content: int
    name: bytes
    hash: bytes


class Entry(NamedTuple):
    """An image to save.

    Attributes:
        name: Its name.
        stamp: Size and time of the file.
        hash: SHA-256 of its content; None if it cannot be read.
        id: Its number, if it is known already.
        look: Hash of its look.
        vectors: Semantic and visual vector; None if its content is known.
        error: Why it cannot be read.
    """

    name: bytes
    stamp: Stamp
    hash: bytes | None
    id: int | None = None
    look: int = 0
    vectors: tuple[np.ndarray, np.ndarray] | None = None
    error: str = ""


class IndexWriter:
    """An index for the one process that writes it; ``IndexWriter.open`` makes one.

    Attributes:
        folder: The index.
        database: Its database.
        hashes: Hashes of the contents whose vectors it has.
        sizes: Dimensions of semantic and visual vectors.
    """

    def __init__(self, folder: Path, database: Database, file: IndexFile) -> None:
        self.folder, self.database = folder, database
        self.sizes = (file.size, file.visual_size)
        self.state = state_of(database)
        self._files = self._open_files(self.state)
        self.hashes = {row[0] for row in database.rows("SELECT hash FROM contents")}

    @classmethod
    def open(cls, folder: Path, file: IndexFile, embedder: Embedder) -> "IndexWriter":
        """Opens an index, which is created if missing, and holds its lock until it is closed.

        Args:
            folder: The index.
            file: What is kept about the model in a new index.
            embedder: The model.

        Raises:
            ConfigError: The folder cannot be written, or holds something else.
            IndexBusy: Another process writes it.
            IndexModelError: It was made by another model.
            ImageIndexError: It is damaged.
        """
        _make_folder(folder)
        database = open_catalog(folder)
        try:
            if os.path.lexists(folder / FILE):
                known = IndexFile.read(folder)
                known.require(embedder, folder)
                if known != file:
                    file.write(folder)  # the model was moved, for example
            elif state_of(database).changes:
                raise ImageIndexError(f"{folder} is damaged ({FILE} is missing): {ADVICE}")
            else:
                file.write(folder)
            writer = cls(folder, database, file)
            writer._recover()
        except BaseException:
            database.close()
            raise
        return writer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Closes the index."""
        self.database.close()

    def take_root(self, root: Path) -> None:
        """Keeps the folder of the images.

        Raises:
            ConfigError: The index is of another folder, which still exists.
        """
        name, known = os.fsencode(kept_root(root, self.folder, beside=True)), root_of(self.database)
        if known == name:
            return
        if known is not None:
            other = os.path.normpath(os.path.join(os.path.abspath(self.folder), os.fsdecode(known)))
            if os.path.isdir(other):
                raise ConfigError(
                    f"{self.folder} is the index of other images ({other}): name another folder with --out"
                )
        keep_root(self.database, name)

    # --- what is known -----------------------------------------------------------------------------------------------

    def images(self) -> dict[bytes, Known]:
        """Returns the images by their names."""
        rows = self.database.rows(
            "SELECT i.name, i.id, i.size, i.mtime, c.hash FROM images i LEFT JOIN contents c ON c.id = i.content"
        )
        return {name: Known(id, Stamp(size, mtime), hash) for name, id, size, mtime, hash in rows}

    def readable(self) -> int:
        """Returns the number of images that have vectors."""
        count: int = self.database.rows("SELECT count(content) FROM images")[0][0]
        return count

    def uncaptioned(self, captioner: str) -> list[Uncaptioned]:
        """Returns each content without a caption by this captioner."""
        rows = self.database.rows(
            "SELECT i.content, i.name, c.hash FROM images i JOIN contents c ON c.id = i.content "
            "WHERE c.captioner != ? GROUP BY i.content ORDER BY min(i.id)",
            (captioner,),
        )
        return [Uncaptioned(*row) for row in rows]

    # --- changes -----------------------------------------------------------------------------------------------------

    def save(self, entries: Sequence[Entry]) -> None:
        """Saves images: their vectors, and then, in one transaction, what is known about them.

        Raises:
            ImageIndexError: The disk is full, or the index was removed.
        """
        fresh: dict[bytes, Entry] = {}
        for entry in entries:
            if entry.hash is not None and entry.vectors is not None and entry.hash not in self.hashes:
                fresh.setdefault(entry.hash, entry)
        first, sums = self.state.rows, []
        for file, kind in zip(self._files, range(len(KINDS)), strict=True):
            vectors = [entry.vectors[kind] for entry in fresh.values() if entry.vectors is not None]
            sums.append(file.append(np.stack(vectors)) if vectors else 0)
        with self.database.change() as connection:
            connection.executemany(
                "INSERT INTO contents (hash, row, look) VALUES (?, ?, ?)",
                [(hash, first + place, _signed(entry.look)) for place, (hash, entry) in enumerate(fresh.items())],
            )
            for entry in entries:
                _save_image(connection, entry)
            if fresh:
                connection.execute("INSERT INTO blocks VALUES (?, ?, ?, ?)", (first, len(fresh), *sums))
            self._keep(connection, self.state._replace(rows=first + len(fresh)))
        self.hashes |= fresh.keys()

    def caption(self, captions: Iterable[tuple[int, str]], captioner: str) -> None:
        """Saves captions of contents, and their words."""
        with self.database.change() as connection:
            for content, text in captions:
                counts = counted(text)
                connection.execute(
                    "UPDATE contents SET caption = ?, length = ?, captioner = ? WHERE id = ?",
                    (text, sum(counts.values()), captioner, content),
                )
                connection.execute("DELETE FROM words WHERE content = ?", (content,))
                connection.executemany(
                    "INSERT INTO words VALUES (?, ?, ?)", [(word, content, count) for word, count in counts.items()]
                )
            self._keep(connection, self.state)

    def remove(self, ids: Sequence[int]) -> None:
        """Removes images, and the contents that no image has any more."""
        orphans = "SELECT id FROM contents WHERE id NOT IN (SELECT content FROM images WHERE content IS NOT NULL)"
        if not ids and not self.database.rows(f"{orphans} LIMIT 1"):
            return
        with self.database.change() as connection:
            connection.executemany("DELETE FROM images WHERE id = ?", [(id,) for id in ids])
            connection.execute(f"DELETE FROM words WHERE content IN ({orphans})")  # noqa: S608  text of ours
            connection.execute(f"DELETE FROM contents WHERE id IN ({orphans})")  # noqa: S608
            self._keep(connection, self.state)

    def compact(self, least: int = 1000) -> None:
        """Copies the vectors into new files if a quarter of them, and at least so many, belong to no image."""
        rows = live_rows(self.database, self.state)
        if self.state.rows - len(rows) < max(least, self.state.rows // 4):
            return
        number = self.state.number + 1
        files = self._open_files(State(0, number, 0))
        for file in files:
            file.cut()
        parts = [list(copied(old, new, rows)) for old, new in zip(self._files, files, strict=True)]
        with self.database.change() as connection:
            connection.executemany(  # rows only move down, so that no two ever have the same
                "UPDATE contents SET row = ? WHERE row = ?", [(new, int(old)) for new, old in enumerate(rows)]
            )
            connection.execute("DELETE FROM blocks")
            for (first, count, semantic), (_, _, visual) in zip(*parts, strict=True):
                connection.execute("INSERT INTO blocks VALUES (?, ?, ?, ?)", (first, count, semantic, visual))
            self._keep(connection, self.state._replace(rows=len(rows), number=number))
        self._files = files
        remove_others(self.folder, number)

    def _keep(self, connection: sqlite3.Connection, state: State) -> None:
        self.state = state._replace(changes=self.state.changes + 1)
        keep_state(connection, self.state)

    def _open_files(self, state: State) -> list[VectorFile]:
        return [
            VectorFile(self.folder, kind, state.number, size, state.rows)
            for kind, size in zip(KINDS, self.sizes, strict=True)
        ]

    def _recover(self) -> None:
        """Removes what a killed process left, and checks all vectors."""
        remove_others(self.folder, self.state.number)
        for file in self._files:
            file.cut()
        live_rows(self.database, self.state)
        check_blocks(self.database, self._files)


def _save_image(connection: sqlite3.Connection, entry: Entry) -> None:
    values = (entry.name, *entry.stamp, entry.hash, entry.error[:MAX_ERROR])
    if entry.id is None:
        connection.execute(
            "INSERT INTO images (name, size, mtime, content, error) "
            "VALUES (?, ?, ?, (SELECT id FROM contents WHERE hash = ?), ?)",
            values,
        )
    else:
        connection.execute(
            "UPDATE images SET name = ?, size = ?, mtime = ?, content = (SELECT id FROM contents WHERE hash = ?), "
            "error = ? WHERE id = ?",
            (*values, entry.id),
        )


def _signed(look: int) -> int:
    """Returns 64 bits as the integer that SQLite can keep."""
    return look - (1 << 64) if look >= 1 << 63 else look


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        visible = {name for name in os.listdir(folder) if not name.startswith(".")}
    except OSError as error:
        reason = "it is a file" if isinstance(error, FileExistsError) else error.strerror or error
        raise ConfigError(f"cannot write {folder}: {reason}; name another folder with --out") from error
    if FILE not in visible and visible - _OWN:
        raise ConfigError(f"{folder} is not an index, and not empty: name another folder with --out")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(f"cannot write {folder}: Permission denied; name another folder with --out")
