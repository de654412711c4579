"""Writes the captions of a project for other programs, by the writers of ``capsmith caption --write``.

Files that this program did not write, or that somebody changed since, are kept. A journal in the project knows what was
written: the hashes of tables, and every caption that a text file may hold.
"""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from capsmith.core.errors import CapsmithError, ConfigError
from capsmith.deploy.folder.journal import FILE, Contents, Head, Journal, read_journal
from capsmith.deploy.folder.selection import Item
from capsmith.deploy.folder.writers.metadata import MetadataWriter
from capsmith.deploy.folder.writers.tables import BOM, csv_row, safe_cell
from capsmith.deploy.folder.writers.text import TextWriter
from capsmith.deploy.folder.writers.writer import ENCODING, Result, TableWriter, Writer
from capsmith.deploy.studio.project import FOLDER
from capsmith.deploy.studio.records import Correction
from capsmith.deploy.studio.store import Store

TABLES = ("csv", "jsonl")
"""Formats with one file for all images."""
SIDECARS = ("txt", "xmp")
"""Formats with a file for each image."""
FORMATS = (*TABLES, *SIDECARS)
"""The formats of an export."""
STEM = "captions"
"""The file name of tables, without its ending."""
_COLUMNS = ("image", "caption", "status", "proposed", "log_probability")


@dataclass
class Exported:
    """What an export did.

    Attributes:
        folder: The folder of the results.
        tables: The tables.
        sidecars: Number of files of single images that hold their caption, by format.
        kept: Files that were not replaced because this program did not write them, or somebody changed them.
        failed: Files that cannot be written.
    """

    folder: Path
    tables: list[Path] = field(default_factory=list)
    sidecars: dict[str, int] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    failed: list[CapsmithError] = field(default_factory=list)


def export_captions(
    store: Store, formats: Sequence[str], output: Path | None = None, overwrite: bool = False
) -> Exported:
    """Writes the current captions of all images that have one.

    Args:
        store: The project.
        formats: Some of ``FORMATS``.
        output: The folder of the results. By default tables stand in the folder of the images and other files beside
            the images, if the project is in that folder; otherwise all results are in ``exports`` inside the project.
        overwrite: Replace files of somebody else.

    Raises:
        ConfigError: A format does not exist; a table would replace a file of somebody else; there is no caption yet.
        CapsmithError: The folder cannot be written, or another process exports.
    """
    if unknown := [name for name in formats if name not in FORMATS]:
        raise ConfigError(f"{unknown[0]!r:.40} is not a format of exports (one or more of: {', '.join(FORMATS)})")
    captions = [one for one in store.captions() if os.path.lexists(one.path)]
    if not captions:
        raise ConfigError("no image has a caption yet, so there is nothing to export")
    folder, beside = _places(store, output)
    with Journal.open(store.project) as journal:
        _remember(journal, store, captions)
        others = _of_caption_command(store.root)
        journal.contents.files |= others.files
        items = [Item(one.path, one.name) for one in captions]
        done = Exported(folder)
        names = list(dict.fromkeys(formats))
        writers = [_writer(name, items, folder, beside, journal, overwrite) for name in names]
        for writer in writers:
            writer.check()
        for name, writer in zip(names, writers, strict=True):
            if name in SIDECARS:
                _write_each(done, name, writer, items, captions, (journal.contents, others))
            done.tables += writer.finish(Result(item, _record(one)) for item, one in zip(items, captions, strict=True))
        journal.end()
    return done


def table(captions: Iterable[Correction]) -> Iterator[bytes]:
    """Yields captions as CSV, as ``captions.csv`` holds it."""
    yield BOM + csv_row(_COLUMNS)
    for one in captions:
        yield _csv_cells(one.name, _record(one))


class _Csv(TableWriter):
    """The CSV of an export: ``capsmith init`` and ``train`` read its columns ``image`` and ``caption``."""

    def encoded(self, results: Iterable[Result]) -> Iterator[bytes]:
        """Yields the rows."""
        yield BOM + csv_row(_COLUMNS)
        for item, record, _ in results:
            yield _csv_cells(item.name, record or {})


class _Lines(TableWriter):
    """JSON lines with the current caption and the proposed one. Lossless."""

    def encoded(self, results: Iterable[Result]) -> Iterator[bytes]:
        """Yields the lines."""
        for item, record, _ in results:
            yield (json.dumps({"image": item.name, **(record or {})}, ensure_ascii=False) + "\n").encode(**ENCODING)


def _csv_cells(name: str, record: dict[str, Any]) -> bytes:
    texts = [safe_cell(text) for text in (name, record["caption"], record["status"], record["proposed"])]
    return csv_row([*texts, record["log_probability"]])


def _record(one: Correction) -> dict[str, Any]:
    return {
        "caption": one.caption,
        "status": one.status,
        "proposed": one.proposed,
        "log_probability": one.log_probability,
    }


def _places(store: Store, output: Path | None) -> tuple[Path, Path | None]:
    """Returns the folder of tables, and that of the files of each image; None: beside the images.

    Raises:
        ConfigError: ``output`` is a file.
    """
    if output is not None:
        if os.path.lexists(output) and not output.is_dir():
            raise ConfigError(f"--output {output} is not a folder: exports are written into one")
        return output, output
    if os.path.abspath(store.project) == os.path.abspath(store.root / FOLDER):
        return store.root, None
    return store.project / "exports", store.project / "exports"


def _writer(
    name: str, items: list[Item], folder: Path, beside: Path | None, journal: Journal, overwrite: bool
) -> Writer:
    if name in TABLES:
        return {"csv": _Csv, "jsonl": _Lines}[name](folder / f"{STEM}.{name}", journal, overwrite)
    if name == "xmp":
        return MetadataWriter(items, journal, beside, overwrite)
    return TextWriter(items, beside, overwrite)


def _remember(journal: Journal, store: Store, captions: Sequence[Correction]) -> None:
    """Saves every caption before it is written, so that a later export knows its own files."""
    head = Head(os.path.relpath(os.path.abspath(store.root), os.path.abspath(store.project)), "", {})
    if not journal.contents.heads or journal.contents.heads[-1] != head:
        journal.start(head, False)
    for one in captions:
        before = journal.contents.entries.get(one.name)
        record = {"caption": one.caption}
        if before is None or before.record != record:
            journal.add(one.name, one.stamp, record)
    journal.sync()


def _of_caption_command(root: Path) -> Contents:
    """Returns what ``capsmith caption --write`` wrote into the folder: those files are ours, too."""
    with suppress(CapsmithError):
        if (root / FILE).is_file():
            return read_journal(root / FILE)[0]
    return Contents()


def _write_each(
    done: Exported,
    name: str,
    writer: Writer,
    items: Sequence[Item],
    captions: Sequence[Correction],
    journals: Sequence[Contents],
) -> None:
    """Writes the files of each image. One that cannot be written does not stop the others."""
    done.sidecars[name] = 0
    for item, one in zip(items, captions, strict=True):
        earlier = [record for journal in journals for record in _known(journal, item.name)]
        try:
            kept = writer.write(item, {"caption": one.caption}, earlier)
        except CapsmithError as error:
            done.failed.append(error)
            continue
        if kept:
            done.kept.append(os.path.relpath(kept, done.folder))
        else:
            done.sidecars[name] += 1


def _known(journal: Contents, name: str) -> list[dict[str, Any]]:
    """Returns the captions that a file of an image may hold."""
    entry = journal.entries.get(name)
    return [*journal.earlier.get(name, ()), *([entry.record] if entry else [])]
