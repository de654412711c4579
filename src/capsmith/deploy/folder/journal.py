"""The journal of a folder: what is captioned already, so that a killed command goes on without redoing or losing any.

The file ``.captions.journal`` beside the results holds JSON lines and is only appended to. A command writes a head,
one line for each caption as soon as it is known, the hash of each file of results before the file takes its name,
and an end::

    {"journal": 1, "root": ".", "model": "2c6e…", "settings": {…}, "overwrite": false}
    {"image": "sub/a.jpg", "size": 51234, "mtime": 1764345600000000000, "record": {"caption": "a dog runs", …}}
    {"file": "captions.csv", "sha256": "…"}
    {"end": 1}

A line that a killed process tore is cut off. The results are made from the journal, so a file of results that is
missing is written again without the model. The journal is also the lock: two commands cannot write the same results.
"""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, NamedTuple

from capsmith.core.errors import CapsmithError, ConfigError, one_line
from capsmith.core.locks import locked
from capsmith.core.readers.json_files import parse_json
from capsmith.core.readers.regular_files import LARGE_FILE, read_bytes

FILE = ".captions.journal"
"""The name of the journal."""
FORMAT = 1
"""Version of the journal's format."""
GO_ON = "free some space and run the same command again: it goes on from here"


class Head(NamedTuple):
    """What captions depend on beside the image.

    Attributes:
        root: The folder of the images, relative to the journal's folder if it is that folder or a folder above.
        model: Fingerprint of the captioner.
        settings: Settings of the search.
    """

    root: str
    model: str
    settings: dict[str, Any]


class Stamp(NamedTuple):
    """Size in bytes and time of the last change in nanoseconds of an image file."""

    size: int
    mtime: int

    @classmethod
    def of(cls, path: Path) -> "Stamp | None":
        """Returns the stamp of a file; None if there is none."""
        try:
            status = path.stat()
        except (OSError, ValueError):
            return None
        return cls(status.st_size, status.st_mtime_ns)


@dataclass(frozen=True)
class Entry:
    """A caption in the journal.

    Attributes:
        stamps: Size and time of the image that was captioned; several if only its metadata changed since.
        record: The caption, as in ``--json``.
        head: Model and settings.
        command: Number of the command in this journal that made it.
    """

    stamps: frozenset[Stamp]
    record: dict[str, Any]
    head: Head
    command: int


@dataclass
class Contents:
    """The content of a journal.

    Attributes:
        entries: The last caption of each image.
        earlier: The captions of each image before its last one.
        files: SHA-256 of every file of results.
        heads: One head for each command.
        overwriting: The number of the last command if it was to caption everything again; it ended if ``ended``.
        ended: Whether the last command reached its end.
    """

    entries: dict[str, Entry] = field(default_factory=dict)
    earlier: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    heads: list[Head] = field(default_factory=list)
    overwriting: int | None = None
    ended: bool = True

    def apply(self, line: dict[str, Any]) -> None:
        """Adds a line.

        Raises:
            KeyError, TypeError, ValueError: It is not a line of a journal.
        """
        if "journal" in line:
            if line["journal"] != FORMAT:
                raise ValueError(f"its format is {line['journal']!r:.20}, not {FORMAT}")
            head = Head(_typed(line["root"], str), _typed(line["model"], str), _typed(line["settings"], dict))
            self.heads.append(head)
            again = _typed(line["overwrite"], bool)
            goes_on = self.overwriting is not None and not self.ended and head == self.heads[self.overwriting]
            self.overwriting = self.overwriting if goes_on else len(self.heads) - 1 if again else None
            self.ended = False
        elif "image" in line:
            name, record = _typed(line["image"], str), _typed(line["record"], dict)
            _typed(record["caption"], str)
            stamps = frozenset({Stamp(_typed(line["size"], int), _typed(line["mtime"], int))})
            entry = Entry(stamps, record, self.heads[-1], len(self.heads) - 1)
            if before := self.entries.get(name):
                if (before.record, before.head) == (record, entry.head):
                    entry = replace(entry, stamps=before.stamps | stamps)
                else:
                    self.earlier.setdefault(name, []).append(before.record)
            self.entries[name] = entry
        elif "file" in line:
            self.files.add(_typed(line["sha256"], str))
        else:
            self.ended = bool(line["end"])


def _typed(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError(f"{value!r:.40} is not {kind.__name__}")
    return value


class Journal:
    """An open, locked journal. ``open`` makes one.

    Attributes:
        folder: The folder of the journal and the results.
        contents: What it holds, kept up to date.
    """

    def __init__(self, folder: Path, file: IO[bytes], contents: Contents) -> None:
        self.folder, self.contents = folder, contents
        self._file = file

    @classmethod
    @contextmanager
    def open(cls, folder: Path) -> Iterator["Journal"]:
        """Opens the journal of a folder, which is created if missing, and holds its lock.

        Raises:
            ConfigError: Another process writes there, or the folder cannot be written.
            CapsmithError: The journal is damaged.
        """
        path = folder / FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = "it is a file" if isinstance(error, FileExistsError) else error.strerror or error
            raise ConfigError(f"cannot write {folder}: {reason}; name another folder with --output") from error
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise ConfigError(f"{path} is not a regular file: remove it")
        busy = f"another process captions into {folder}: wait for it, or stop it"
        with locked(folder, busy, _Unwritable, FILE):
            contents, end = read_journal(path)
            try:
                with path.open("r+b", buffering=0) as file:
                    file.truncate(end)
                    file.seek(end)
                    yield cls(folder, file, contents)
            finally:
                if not contents.heads:  # nothing was begun
                    path.unlink()

    def start(self, head: Head, overwrite: bool) -> None:
        """Writes the head of a command."""
        self._write({"journal": FORMAT, **head._asdict(), "overwrite": overwrite})

    def add(self, name: str, stamp: Stamp, record: dict[str, Any]) -> None:
        """Saves a caption."""
        self._write({"image": name, "size": stamp.size, "mtime": stamp.mtime, "record": record})

    def add_file(self, name: str, sha256: str) -> None:
        """Saves the hash of a file of results, before the file takes its name."""
        self._write({"file": name, "sha256": sha256})
        self.sync()

    def end(self) -> None:
        """Writes that the command reached its end."""
        if not self.contents.ended:
            self._write({"end": 1})
        self.sync()

    def sync(self) -> None:
        """Waits until the journal is on disk: it survives a loss of power, too."""
        os.fsync(self._file.fileno())

    def _write(self, line: dict[str, Any]) -> None:
        data = (json.dumps(line, ensure_ascii=True) + "\n").encode()
        try:
            while data:  # unbuffered: a killed process loses no line that was written
                data = data[self._file.write(data) :]
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            more = f"; {GO_ON}" if full else ""
            raise CapsmithError(f"cannot write {self.folder / FILE}: {error.strerror or error}{more}") from error
        self.contents.apply(line)


class _Unwritable(ConfigError):
    def __init__(self, message: str) -> None:
        super().__init__(f"{message}; name another folder with --output" if message.startswith("cannot") else message)


def read_journal(path: Path) -> tuple[Contents, int]:
    """Returns the content of a journal, and where its last complete line ends.

    Raises:
        CapsmithError: It cannot be read, or a complete line is damaged.
    """
    contents, end = Contents(), 0
    try:
        raw = read_bytes(path, LARGE_FILE)
    except (OSError, ValueError) as error:
        raise CapsmithError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    lines = raw.splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        if not line.endswith(b"\n"):
            break
        try:
            contents.apply(_typed(parse_json(line, strict=False), dict))
        except (ValueError, TypeError, LookupError) as error:
            reason = f"{error} is missing" if isinstance(error, KeyError) else one_line(error)
            raise CapsmithError(
                f"{path} is damaged in line {number} ({reason[:200]}): delete it to caption the folder anew"
            ) from error
        end += len(line)
    return contents, end
