"""The SQLite file of a project."""

from pathlib import Path

from capsmith.core.database import Database, DatabaseFormat
from capsmith.deploy.studio.project import DATABASE, LOCK, StudioBusy, StudioError, make_project

VERSION = 1
"""Version of the schema."""
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
_FORMAT = DatabaseFormat(
    file=DATABASE,
    lock=LOCK,
    application=0x63617073,  # "caps"
    version=VERSION,
    schema=_SCHEMA,
    kind="a studio",
    error=StudioError,
    busy_error=StudioBusy,
    other_place="name another folder with --project",
    repair="move it away to start anew, or bring back a copy",
    reopen="restart the studio",
)


def open_database(project: Path) -> Database:
    """Opens the database of a project, which is created if missing, and holds its lock until it is closed.

    Raises:
        StudioBusy: Another process has it open.
        StudioError: It cannot be written, is damaged, or is the database of another program.
    """
    make_project(project)
    busy = f"another capsmith studio has {project} open: stop it, or name another folder with --project"
    return Database.open(project, _FORMAT, busy)


def read_database(project: Path) -> Database:
    """Opens the database of a project for reading, even while a studio has it open.

    Raises:
        StudioError: It cannot be read, is damaged, or is the database of another program.
    """
    return Database.read(project, _FORMAT)
