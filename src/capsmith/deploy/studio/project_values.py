"""What a project knows besides captions: the folder of its images, and the model that proposed."""

import os
import uuid
from collections.abc import Sequence
from pathlib import Path

from capsmith.core.database import Database
from capsmith.deploy.folder.names import kept_root
from capsmith.deploy.studio.project import StudioError

_ROOT, _MODEL, _IDENTITY = "root", "model", "identity"


def root_of(database: Database, project: Path) -> Path:
    """Returns the folder of the images.

    Raises:
        StudioError: The project does not know it.
    """
    name = _value(database, _ROOT)
    if name is None:
        raise StudioError(f"{project} has no images yet: capsmith studio --images FOLDER fills it")
    return Path(os.path.normpath(project.absolute() / os.fsdecode(name)))


def keep_root(database: Database, project: Path, images: Path) -> None:
    """Saves the folder of the images: relative if one folder is in the other, so that both can be moved together.

    Raises:
        StudioError: The project belongs to another folder.
    """
    name = os.fsencode(kept_root(images, project))
    known = _value(database, _ROOT)
    if known is None:
        _keep(database, _ROOT, name)
        _keep(database, _IDENTITY, uuid.uuid4().hex.encode())
    elif known != name:
        other = os.path.normpath(os.path.join(os.path.abspath(project), os.fsdecode(known)))
        raise StudioError(f"{project} holds the captions of other images ({other}): name another with --project")


def identity_of(database: Database) -> str:
    """Returns what identifies the project, wherever it is moved to; empty if it has no images yet."""
    return (_value(database, _IDENTITY) or b"").decode("ascii", "replace")


def model_of(database: Database) -> list[str]:
    """Returns the paths of the model that proposed last, several for an ensemble; none if it is not known."""
    paths = _value(database, _MODEL)
    return [os.fsdecode(path) for path in paths.split(b"\0")] if paths else []


def keep_model(database: Database, paths: Sequence[str]) -> None:
    """Saves the paths of the model that proposes."""
    _keep(database, _MODEL, b"\0".join(os.fsencode(path) for path in paths))


def _value(database: Database, key: str) -> bytes | None:
    rows = database.rows("SELECT value FROM project WHERE key = ?", (key,))
    return bytes(rows[0][0]) if rows else None


def _keep(database: Database, key: str, value: bytes) -> None:
    with database.change() as connection:
        connection.execute("INSERT OR REPLACE INTO project VALUES (?, ?)", (key, value))
