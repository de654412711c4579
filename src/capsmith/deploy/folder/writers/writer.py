"""What a writer of captions does, and how it knows its own files."""

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from capsmith.core.errors import ConfigError, because
from capsmith.core.files import atomic
from capsmith.deploy.folder.journal import Journal
from capsmith.deploy.folder.selection import Item

ENCODING = {"encoding": "utf-8", "errors": "backslashreplace"}
r"""Results are UTF-8. A byte of a file name that is not UTF-8 is written as ``\udce9``, which JSON reads back."""


class Result(NamedTuple):
    """An image with its caption.

    Attributes:
        item: The image.
        record: The caption as in ``--json``, without the image; None if the image cannot be read.
        error: The reason in that case.
    """

    item: Item
    record: dict[str, Any] | None
    error: str = ""


class Writer:
    """Writes captions in one format. A writer for each image implements ``write``, one for all images ``finish``."""

    def check(self) -> None:
        """Checks, before any work, that the results may be written.

        Raises:
            ConfigError: They may not.
        """

    def write(self, item: Item, record: dict[str, Any], earlier: Sequence[dict[str, Any]]) -> str:
        """Writes the result of one image, unless it is there already.

        Args:
            item: The image.
            record: Its caption.
            earlier: Captions that earlier commands wrote for this image.

        Returns:
            The file that was kept because it is not this program's; empty if the result is written.
        """
        return ""

    def finish(self, results: Iterable[Result]) -> list[Path]:
        """Writes the results of all images, in order; returns the files."""
        return []

    def files(self) -> list[Path]:
        """Returns the files that the writer may have written, so that no note calls them skipped."""
        return []


class TableWriter(Writer, ABC):
    """Writes one file with a row for each image.

    Args:
        path: The file.
        journal: Knows the hashes of the files that were written.
        overwrite: Replace a file of somebody else.
    """

    def __init__(self, path: Path, journal: Journal, overwrite: bool = False) -> None:
        self.path, self.journal, self.overwrite = path, journal, overwrite

    def check(self) -> None:
        """Checks that the file does not exist, or is a result of this program that nobody changed."""
        require_own(self.path, self.journal, self.overwrite)

    def files(self) -> list[Path]:
        """Returns the file."""
        return [self.path]

    def finish(self, results: Iterable[Result]) -> list[Path]:
        """Writes the file atomically."""
        write_file(self.path, self.encoded(results), self.journal)
        return [self.path]

    @abstractmethod
    def encoded(self, results: Iterable[Result]) -> Iterator[bytes]:
        """Yields the content of the file."""


def require_own(path: Path, journal: Journal, overwrite: bool) -> None:
    """Checks that a file may be written.

    Raises:
        ConfigError: Another program wrote it, or changed it; or it is not a regular file.
    """
    if not os.path.lexists(path):
        return
    if path.is_symlink() or not path.is_file():
        raise ConfigError(f"{path} is not a regular file: move it, or name another with --output")
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(f"cannot read {path}, which would be replaced: {because(error)}") from error
    if digest not in journal.contents.files and not overwrite:
        raise ConfigError(
            f"{path} exists, and capsmith did not write it, or it was changed since: move it, name another with "
            "--output, or replace it with --overwrite"
        )


def write_file(path: Path, parts: Iterable[bytes], journal: Journal) -> None:
    """Writes a file of results atomically; its hash is in the journal before it takes its name."""
    digest = hashlib.sha256()
    with atomic(path, "wb") as file:
        for part in parts:
            file.write(part)
            digest.update(part)
        journal.add_file(path.name, digest.hexdigest())


def all_texts(record: dict[str, Any]) -> list[str]:
    """Returns the captions of an image that were asked for: one, or the different ones of ``--n``."""
    texts: list[str] = record.get("captions") or [record["caption"]]
    return texts
