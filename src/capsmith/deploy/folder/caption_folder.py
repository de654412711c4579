"""Captions a folder of images into files, and goes on where a killed command stopped."""

import errno
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from capsmith.core.errors import CapsmithError, ConfigError, ImageError, one_line
from capsmith.core.log import get_logger
from capsmith.core.progress import progress_bar
from capsmith.deploy.folder.destination import Destination
from capsmith.deploy.folder.journal import GO_ON, Contents, Head, Journal, Stamp
from capsmith.deploy.folder.pipeline import Captioned
from capsmith.deploy.folder.record import record_of
from capsmith.deploy.folder.selection import Item, Selection
from capsmith.deploy.folder.writers.writer import Result, Writer

logger = get_logger(__name__)

Captions = Callable[[list[Path]], Iterator[Captioned[Path]]]
"""Captions images in order: ``pipeline.caption_images`` with a captioner, which is loaded when this is called."""
_SYNC_SECONDS = 2.0
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass
class Report:
    """What a command did.

    Attributes:
        done_before: Images that were captioned already.
        captioned: Images that this command captioned.
        failed: Images that cannot be read, and results that cannot be written.
        kept: Files that were not replaced because this program did not write them, or somebody changed them.
        files: The tables that were written.
        unlike: Captioned images that are unlike the training images.
    """

    done_before: int = 0
    captioned: int = 0
    failed: list[CapsmithError] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    unlike: list[Path] = field(default_factory=list)


def caption_folder(
    captions: Captions,
    selection: Selection,
    place: Destination,
    model: str,
    settings: dict[str, Any],
    show: Callable[[Result], None] | None = None,
    several: bool = False,
) -> Report:
    """Captions images and writes the results.

    Args:
        captions: Captions images; called only if some are not captioned yet.
        selection: The images, with a root.
        place: Formats and paths of the results.
        model: Fingerprint of the captioner.
        settings: What else captions depend on: the settings of the search.
        show: Called with each result in order, those of earlier commands included.
        several: The alternatives of a caption were asked for, too.

    Raises:
        ConfigError: Results would replace files of somebody else, another process writes there, or images were
            captioned by another model or with other settings.
        CapsmithError: The journal is damaged, or the disk is full.
        KeyboardInterrupt: With a note that says how to go on.
    """
    with Journal.open(place.folder) as journal:
        head = Head(place.root_of(selection), model, settings)
        stamps = {item.name: Stamp.of(item.path) for item in selection.items}
        done = _done(selection.items, stamps, journal.contents, head, place)
        writers = place.writers(selection, journal)
        work = _Work(selection.items, stamps, done, journal, writers, several, place.skip_done, Report(len(done)))
        if work.todo:
            journal.start(head, place.overwrite)
        began = time.monotonic()
        try:
            work.run(captions, show)
        except KeyboardInterrupt as error:
            left, total = len(work.todo) - work.finished, len(selection.items)
            error.add_note(f": {left:,} of {total:,} images are left; the same command goes on from here")
            raise
    if work.todo:
        seconds = time.monotonic() - began
        rate = f"{work.finished / seconds:,.1f} images/s"
        logger.info(f"captioned {work.report.captioned:,} images in {seconds:,.0f} s ({rate})")
    if done:
        logger.info(f"{len(done):,} images were captioned before")
    return work.report


def _done(
    items: Iterable[Item], stamps: dict[str, Stamp | None], contents: Contents, head: Head, place: Destination
) -> set[str]:
    """Returns the names of the images whose caption in the journal is still valid.

    Raises:
        ConfigError: Another folder's images, another model or other settings.
    """
    if contents.heads and contents.heads[-1].root != head.root and not place.overwrite:
        raise ConfigError(
            f"{place.folder} holds the captions of other images ({contents.heads[-1].root}): name another folder with "
            "--output, or replace them with --overwrite"
        )
    valid = {
        item.name: entry
        for item in items
        if (entry := contents.entries.get(item.name)) is not None
        and stamps[item.name] in entry.stamps
        and entry.head.root == head.root
    }
    if place.overwrite:
        start = contents.overwriting
        if start is None or contents.ended or contents.heads[start] != head:
            return set()
        return {name for name, entry in valid.items() if entry.command >= start}  # an interrupted --overwrite
    others = [entry for entry in valid.values() if entry.head != head]
    if others and not place.skip_done:
        by = "by another model" if others[0].head.model != head.model else "with other settings"
        raise ConfigError(
            f"{len(others):,} of these images were captioned {by} ({place.folder}): --overwrite captions all again, "
            "--skip-done keeps those captions, and --output writes to another folder"
        )
    return set(valid)


@dataclass
class _Work:
    """One command: its images, what is done of them, and where the rest goes."""

    items: Sequence[Item]
    stamps: dict[str, Stamp | None]
    done: set[str]
    journal: Journal
    writers: list[Writer]
    several: bool
    skip_done: bool
    report: Report
    finished: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)

    @cached_property
    def todo(self) -> list[Item]:
        return [item for item in self.items if item.name not in self.done]

    def run(self, captions: Captions, show: Callable[[Result], None] | None) -> None:
        bar = progress_bar(total=len(self.items), initial=len(self.done), desc="captions", unit="image")
        fresh = captions([item.path for item in self.todo]) if self.todo else iter(())
        synced = time.monotonic()
        try:
            with bar as progress:
                for item in self.items:
                    if item.name in self.done:
                        result = self._saved(item)
                    else:
                        result = self._captioned(item, next(fresh))
                        progress.update()
                    self._write(result)
                    if show is not None:
                        show(result)
                    if time.monotonic() - synced > _SYNC_SECONDS:
                        self.journal.sync()
                        synced = time.monotonic()
        finally:
            if isinstance(fresh, Generator):
                fresh.close()  # ends its threads
        for writer in self.writers:
            self.report.files += writer.finish(self._saved(item) for item in self.items)
        self.journal.end()

    def _captioned(self, item: Item, captioned: Captioned[Path]) -> Result:
        """Saves a new caption in the journal before anything else is written."""
        self.finished += 1
        stamp, error = self.stamps[item.name], captioned.error
        if error is not None or stamp is None:
            error = error or ImageError(f"{item.path}: the file appeared while others were captioned: run again")
            self.report.failed.append(error)
            self.unreadable[item.name] = one_line(error).removeprefix(f"{item.path}: ")
            return Result(item, None, self.unreadable[item.name])
        record = record_of(captioned.caption, self.several)
        self.journal.add(item.name, stamp, record)
        self.report.captioned += 1
        if record.get("unlike_training"):
            self.report.unlike.append(item.path)
        return Result(item, record)

    def _saved(self, item: Item) -> Result:
        if item.name in self.unreadable:
            return Result(item, None, self.unreadable[item.name])
        return Result(item, self.journal.contents.entries[item.name].record)

    def _write(self, result: Result) -> None:
        """Writes the files of one image. A file that cannot be written does not stop the others; a full disk does."""
        if result.record is None:
            return
        earlier = self.journal.contents.earlier.get(result.item.name, ())
        for writer in self.writers:
            try:
                kept = writer.write(result.item, result.record, earlier)
            except CapsmithError as error:
                cause = error.__cause__
                if not isinstance(cause, OSError):
                    raise
                if cause.errno in _FULL:
                    raise CapsmithError(f"{error}; {GO_ON}") from cause
                self.report.failed.append(error)
                continue
            if kept and not (self.skip_done and result.item.name in self.done):
                self.report.kept.append(kept)
