"""Brings the table of images up to date with the folder: new, changed, moved and removed files."""

import os
import sqlite3
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from capsmith.core.database import Database
from capsmith.deploy.folder.journal import Stamp
from capsmith.deploy.folder.names import printable_name
from capsmith.deploy.folder.selection import Item
from capsmith.deploy.studio.rows import IS_UNTOUCHED, words_of


class Changes(NamedTuple):
    """Numbers of images that are new, have another content, another name, or are gone."""

    added: int = 0
    changed: int = 0
    moved: int = 0
    removed: int = 0


def synchronise(database: Database, items: Sequence[Item]) -> Changes:
    """Takes over a listing of the folder.

    A file with another size or time is captioned anew unless a person decided about its caption. A file that has the
    size and time of one that is gone is the same image under another name, and keeps its caption. The captions of
    removed files are kept in case they come back.

    Args:
        database: The database.
        items: The images of the folder, in order.
    """
    stamps = {os.fsencode(item.name): stamp for item in items if (stamp := Stamp.of(item.path)) is not None}
    with database.change() as connection:
        rows = connection.execute("SELECT id, name, place, missing, size, mtime, caption FROM images").fetchall()
        known = {row["name"]: row for row in rows}
        gone = [row for row in rows if row["name"] not in stamps]
        moved = _moved([name for name in stamps if name not in known], stamps, gone)
        for name, row in moved.items():
            words = words_of(row["caption"], printable_name(name))
            connection.execute("UPDATE images SET name = ?, words = ? WHERE id = ?", (name, words, row["id"]))
        known.update(moved)
        added = changed = 0
        for place, (name, stamp) in enumerate(stamps.items()):
            if name not in known:
                connection.execute(
                    "INSERT INTO images (name, place, size, mtime, words) VALUES (?, ?, ?, ?, ?)",
                    (name, place, *stamp, words_of("", printable_name(name))),
                )
                added += 1
                continue
            row = known[name]
            if (row["place"], row["missing"]) != (place, 0):
                connection.execute("UPDATE images SET place = ?, missing = 0 WHERE id = ?", (place, row["id"]))
            if Stamp(row["size"], row["mtime"]) != stamp:
                _forget(connection, row["id"], stamp, printable_name(name))
                changed += 1
        kept = {row["id"] for row in moved.values()}
        lost = [row["id"] for row in gone if not row["missing"] and row["id"] not in kept]
        connection.executemany("UPDATE images SET missing = 1 WHERE id = ?", ((id,) for id in lost))
    return Changes(added, changed, len(moved), len(lost))


def _forget(connection: sqlite3.Connection, id: int, stamp: Stamp, name: str) -> None:
    """Drops what a model said about an earlier content of a file."""
    connection.execute(
        "UPDATE images SET size = ?, mtime = ?, width = NULL, height = NULL, proposed = '', log_probability = NULL, "
        "per_word = NULL, model = '', error = '', details = '{}' WHERE id = ?",
        (*stamp, id),
    )
    connection.execute(
        f"UPDATE images SET status = 'pending', caption = '', words = ? WHERE id = ? AND {IS_UNTOUCHED}",  # noqa: S608
        (words_of("", name), id),
    )


def _moved(new: Sequence[bytes], stamps: dict[bytes, Stamp], gone: Sequence[sqlite3.Row]) -> dict[bytes, sqlite3.Row]:
    """Returns the rows of files that have a new name: the only new and the only missing file of this size and time."""
    before = Counter(Stamp(row["size"], row["mtime"]) for row in gone)
    after = Counter(stamps[name] for name in new)
    rows = {Stamp(row["size"], row["mtime"]): row for row in gone}
    return {name: rows[stamp] for name in new if before[stamp := stamps[name]] == after[stamp] == 1}
