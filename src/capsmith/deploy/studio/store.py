"""The captions of a project: what a model proposed and what a person decided, each edit saved at once.

Every change of a caption is a transaction that is on disk when the method returns, with a row in ``history``. A model's
proposal never replaces what a person decided.
"""

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from capsmith.core.database import Database
from capsmith.deploy.folder.journal import Stamp
from capsmith.deploy.folder.selection import Item
from capsmith.deploy.studio.caption_text import checked_caption
from capsmith.deploy.studio.database import open_database, read_database
from capsmith.deploy.studio.listing import page_of
from capsmith.deploy.studio.project_values import identity_of, keep_model, keep_root, model_of, root_of
from capsmith.deploy.studio.proposed import save_proposals
from capsmith.deploy.studio.records import (
    DECIDED,
    UNTOUCHED,
    Conflict,
    Correction,
    Counts,
    Page,
    Proposal,
    StudioImage,
    Todo,
)
from capsmith.deploy.studio.rows import ONE, file_name, found, image_of, words_of
from capsmith.deploy.studio.sync import Changes, synchronise


class Store:
    """An open project; ``Store.open`` and ``Store.read`` make one. Its methods may be called by any thread.

    Args:
        project: The project folder.
        database: Its database.
        root: The folder of the images; by default the one that the database names.
    """

    def __init__(self, project: Path, database: Database, root: Path | None = None) -> None:
        self.project, self.database = project, database
        self._root = root

    @classmethod
    def open(cls, project: str | Path, images: Path | None = None) -> "Store":
        """Opens a project, which is created if missing, for the one process that changes it.

        Args:
            project: The project folder, such as ``photos/.capsmith-studio``.
            images: The folder of the images; by default the one that the project was made for.

        Raises:
            StudioBusy: Another process has it open.
            StudioError: The project cannot be written, is damaged, or belongs to another folder of images.
        """
        store = cls(Path(project), open_database(Path(project)), images)
        try:
            if images is not None:
                keep_root(store.database, store.project, images)
            store.root  # noqa: B018  raises if it is not known
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def read(cls, project: str | Path) -> "Store":
        """Opens a project for reading, even while a studio has it open.

        Raises:
            StudioError: The project cannot be read, or is damaged.
        """
        return cls(Path(project), read_database(Path(project)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Closes the project."""
        self.close()

    def close(self) -> None:
        """Closes the project and releases its lock."""
        self.database.close()

    @property
    def root(self) -> Path:
        """The folder of the images.

        Raises:
            StudioError: The project does not know it.
        """
        if self._root is None:
            self._root = root_of(self.database, self.project)
        return self._root

    @property
    def identity(self) -> str:
        """Identifies the project, wherever it is moved to."""
        return identity_of(self.database)

    @property
    def model(self) -> list[str]:
        """The paths of the model that proposed last, several for an ensemble; none if it is not known."""
        return model_of(self.database)

    def keep_model(self, paths: Sequence[str]) -> None:
        """Saves the paths of the model that proposes."""
        keep_model(self.database, paths)

    # --- lists -------------------------------------------------------------------------------------------------------

    def images(
        self,
        filter: str = "all",
        query: str = "",
        sort: str = "name",
        offset: int = 0,
        limit: int = 200,
        ids: Sequence[int] | None = None,
    ) -> Page:
        """Returns a part of the list of images.

        Args:
            filter: One of ``FILTERS``.
            query: Words that the caption or the file name contains, in any order and case.
            sort: One of ``SORTS``.
            offset: Images to skip.
            limit: Images to return at most.
            ids: Only images with these numbers.
        """
        return page_of(self.database, (filter, query, ids), sort, offset, limit)

    def image(self, id: int) -> StudioImage:
        """Returns an image with its details.

        Raises:
            UnknownImage: There is none with this number, or its file was removed.
        """
        return image_of(found(self.database.rows(ONE, (id,)), id))

    def path(self, id: int) -> Path:
        """Returns the file of an image.

        Raises:
            UnknownImage: There is none with this number, or its file was removed.
        """
        return self.root / file_name(found(self.database.rows(ONE, (id,)), id)["name"])

    def counts(self) -> Counts:
        """Returns the numbers of images by status."""
        rows = self.database.rows("SELECT status, count(*) FROM images WHERE missing = 0 GROUP BY status")
        by = {status: count for status, count in rows}
        captioned = sum(by.get(status, 0) for status in ("proposed", "edited", "accepted"))
        return Counts(sum(by.values()), captioned, *(by.get(key, 0) for key in ("failed", "edited", "accepted")))

    def corrections(self) -> list[Correction]:
        """Returns the captions that a person decided on, in order of the file names, of images that exist."""
        return self.captions(DECIDED)

    def captions(self, statuses: Sequence[str] = ("proposed", *DECIDED)) -> list[Correction]:
        """Returns the captions of images with these statuses, in order of the file names."""
        rows = self.database.rows(
            "SELECT id, name, caption, status, proposed, log_probability, size, mtime FROM images "  # noqa: S608
            f"WHERE missing = 0 AND status IN ({', '.join('?' * len(statuses))}) ORDER BY place",
            statuses,
        )
        found = []
        for id, raw, caption, status, proposed, probability, size, mtime in rows:
            name = file_name(raw)
            stamp = Stamp(size, mtime)
            found.append(Correction(id, name, self.root / name, caption, status, proposed, probability, stamp))
        return found

    # --- a person's decisions ----------------------------------------------------------------------------------------

    def edit(self, id: int, caption: str, status: str, revision: int) -> StudioImage:
        """Saves what a person decided about an image.

        An accepted caption that is not the proposed one is an edited one, and an edited caption that is the proposed
        one an accepted one.

        Args:
            id: The image.
            caption: The caption; ignored if ``status`` is ``proposed``.
            status: ``edited`` or ``accepted``; or ``proposed``, which drops the person's caption.
            revision: The revision on which the edit is based.

        Returns:
            The image as it is now.

        Raises:
            UnknownImage: There is no such image.
            Conflict: The image was changed since that revision.
            CaptionError: The caption is empty, too long, or contains control characters.
            StudioError: It cannot be saved.
        """
        if status not in ("edited", "accepted", "proposed"):
            raise ValueError(f"status is 'edited', 'accepted' or 'proposed', not {status!r:.40}")
        if status != "proposed":
            caption = checked_caption(caption)
        with self.database.change() as connection:
            image = _based_on(connection, id, revision)
            if status == "proposed":
                caption = image.proposed
                status = "proposed" if image.proposed else "failed" if image.error else "pending"
                action = "reset"
            else:
                status = "accepted" if caption == image.proposed else "edited"
                action = "accept" if status == "accepted" else "edit"
            return self._decide(connection, image, action, caption, status)

    def undo(self, id: int, revision: int) -> StudioImage:
        """Takes back the last decision about an image that was not taken back yet; without one nothing changes.

        Raises:
            UnknownImage, Conflict, StudioError: As for ``edit``.
        """
        with self.database.change() as connection:
            image = _based_on(connection, id, revision)
            last = connection.execute(
                "SELECT id, old_status, old_caption FROM history WHERE image = ? AND undone = 0 AND action != 'undo' "
                "ORDER BY id DESC LIMIT 1",
                (id,),
            ).fetchone()
            if last is None:
                return image
            connection.execute("UPDATE history SET undone = 1 WHERE id = ?", (last["id"],))
            caption, status = last["old_caption"], last["old_status"]
            if status in UNTOUCHED:  # a proposal may have come or changed since
                caption = image.proposed
                status = "proposed" if image.proposed else "failed" if image.error else "pending"
            return self._decide(connection, image, "undo", caption, status)

    def _decide(
        self, connection: sqlite3.Connection, image: StudioImage, action: str, caption: str, status: str
    ) -> StudioImage:
        revision = image.revision + 1
        connection.execute(
            "UPDATE images SET caption = ?, status = ?, revision = ?, words = ? WHERE id = ?",
            (caption, status, revision, words_of(caption, image.name), image.id),
        )
        connection.execute(
            "INSERT INTO history (image, time, action, old_status, old_caption, status, caption, revision) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (image.id, time.time_ns() // 1_000_000, action, image.status, image.caption, status, caption, revision),
        )
        return image_of(connection.execute(ONE, (image.id,)).fetchone())

    # --- a model's proposals -----------------------------------------------------------------------------------------

    def todo(self, model: str = "", again: bool = False) -> list[Todo]:
        """Returns the images without a proposal, and those that could not be read, in order.

        Args:
            model: Fingerprint of the model that proposes.
            again: Also the untouched images for which another model proposed.
        """
        rows = self.database.rows(
            "SELECT id, name, size, mtime FROM images WHERE missing = 0 AND "
            "(status IN ('pending', 'failed') OR (? AND status = 'proposed' AND model != ?)) ORDER BY place",
            (again, model),
        )
        return [Todo(row[0], self.root / file_name(row[1]), Stamp(row[2], row[3])) for row in rows]

    def proposed_by_others(self, model: str) -> int:
        """Returns the number of untouched images for which another model proposed."""
        sql = "SELECT count(*) FROM images WHERE missing = 0 AND status = 'proposed' AND model != ?"
        count: int = self.database.rows(sql, (model,))[0][0]
        return count

    def propose(self, proposals: Sequence[Proposal]) -> int:
        """Saves what a model proposes, in one transaction. What a person decided stays.

        Returns:
            The number of images whose current caption or error changed.
        """
        return save_proposals(self.database, proposals)

    def sync(self, items: Sequence[Item]) -> Changes:
        """Takes over a listing of the folder; see ``synchronise``."""
        return synchronise(self.database, items)


def _based_on(connection: sqlite3.Connection, id: int, revision: int) -> StudioImage:
    image = image_of(found(connection.execute(ONE, (id,)).fetchall(), id))
    if image.revision != revision:
        raise Conflict(image)
    return image
