"""Parts of the list of images: filtered, searched and sorted by the database."""

from collections.abc import Sequence
from typing import Any

from capsmith.core.database import Database
from capsmith.deploy.studio.caption_text import folded
from capsmith.deploy.studio.records import FILTERS, SORTS, Page
from capsmith.deploy.studio.rows import LISTED, image_of

Wanted = tuple[str, str, Sequence[int] | None]
"""Which images: a filter, words that each contains, and numbers."""


def page_of(database: Database, wanted: Wanted, sort: str, offset: int, limit: int) -> Page:
    """Returns a part of a list; see ``Store.images``."""
    condition, values = _condition(*wanted)
    total = database.rows(f"SELECT count(*) FROM images WHERE {condition}", values)[0][0]  # noqa: S608  text of ours
    rows = database.rows(
        f"SELECT {LISTED} FROM images WHERE {condition} ORDER BY {SORTS[sort]} LIMIT ? OFFSET ?",  # noqa: S608
        [*values, limit, offset],
    )
    return Page(total, [image_of(row) for row in rows])


def _condition(filter: str, query: str, ids: Sequence[int] | None) -> tuple[str, list[Any]]:
    conditions, values = ["missing = 0"], list[Any]()
    for column, allowed in (("status", FILTERS[filter] or None), ("id", ids)):
        if allowed is not None:
            conditions.append(f"{column} IN ({', '.join('?' * len(allowed))})")
            values += allowed
    for word in folded(query).split():
        conditions.append("instr(words, ?) > 0")
        values.append(word)
    return " AND ".join(conditions), values
