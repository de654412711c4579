"""Saves what a model proposes; what a person decided stays."""

import json
import sqlite3
from collections.abc import Sequence

from capsmith.core.database import Database
from capsmith.deploy.folder.names import printable_name
from capsmith.deploy.studio.records import Proposal
from capsmith.deploy.studio.rows import IS_UNTOUCHED, words_of


def save_proposals(database: Database, proposals: Sequence[Proposal]) -> int:
    """Saves proposals in one transaction.

    Returns:
        The number of images whose current caption or error changed.
    """
    with database.change() as connection:
        return sum(_save(connection, one) for one in proposals)


def _save(connection: sqlite3.Connection, one: Proposal) -> bool:
    file = (one.id, *one.stamp)
    row = connection.execute(
        f"SELECT name FROM images WHERE id = ? AND size = ? AND mtime = ? AND {IS_UNTOUCHED}",  # noqa: S608
        file,
    ).fetchone()
    if row is not None:
        status = "failed" if one.error else "proposed"
        words = words_of(one.caption, printable_name(row["name"]))
        connection.execute(
            "UPDATE images SET status = ?, caption = ?, words = ? WHERE id = ?", (status, one.caption, words, one.id)
        )
    details = json.dumps(one.details or {}, ensure_ascii=True)
    values = (
        one.caption,
        one.log_probability,
        one.per_word,
        one.model,
        one.error,
        details,
        *(one.size or (None, None)),
    )
    connection.execute(
        "UPDATE images SET proposed = ?, log_probability = ?, per_word = ?, model = ?, error = ?, details = ?, "  # noqa: S608
        "width = coalesce(?, width), height = coalesce(?, height) WHERE id = ? AND size = ? AND mtime = ? "
        f"AND ({IS_UNTOUCHED} OR proposed = '')",
        (*values, *file),
    )
    return row is not None
