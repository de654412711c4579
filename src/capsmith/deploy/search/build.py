"""Makes an index of a folder, and brings it up to date: only what is new or changed is encoded."""

import os
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from capsmith.core.errors import CapsmithError, DataError, ImageError, one_line
from capsmith.core.files import path_argument
from capsmith.core.log import get_logger
from capsmith.core.progress import progress_bar
from capsmith.deploy.batch.job import Engine
from capsmith.deploy.batch.vectors import VectorWork
from capsmith.deploy.batch.work import Work
from capsmith.deploy.folder.journal import Stamp
from capsmith.deploy.folder.pipeline import KERAS_BATCH, Captioned
from capsmith.deploy.folder.selection import Item, Selection, select
from capsmith.deploy.search.encoding import Encoded, encode_images
from capsmith.deploy.search.engines import Engines
from capsmith.deploy.search.index_file import IndexFile
from capsmith.deploy.search.sharded import remove_jobs, sharded_captions, sharded_vectors
from capsmith.deploy.search.writer import Entry, IndexWriter, Known, Uncaptioned
from capsmith.retrieval.embedder import Embedder

logger = get_logger(__name__)

_SAVE_SECONDS = 2.0  # of work that a killed process loses at most
_SAVE_IMAGES = 4096  # that wait at most
_NO_STAMP = Stamp(0, 0)
GO_ON = "the same command goes on from here"


class Captioning(NamedTuple):
    """What captions the images of an index.

    Attributes:
        fingerprint: Of the captioner and its search: other captions are replaced.
        captions: Captions images in order: ``pipeline.caption_images`` with a captioner, which is loaded when this is
            called.
        work: Captions images in a sharded job: ``batch.captions.CaptionWork``; None: this process does, always.
    """

    fingerprint: str
    captions: Callable[[list[Path]], Generator[Captioned[Path], None, None]]
    work: Work | None = None


@dataclass
class Report:
    """What a command did.

    Attributes:
        total: Images of the folder that can be searched now.
        new: Images that were not in the index.
        changed: Images with another content.
        moved: Images with another name.
        deleted: Images that are gone.
        unchanged: Images as before.
        encoded: Contents that were encoded.
        captioned: Contents that were captioned.
        failed: Images and folders that cannot be read.
        kept: Images in folders that cannot be read, which were not removed.
    """

    total: int = 0
    new: int = 0
    changed: int = 0
    moved: int = 0
    deleted: int = 0
    unchanged: int = 0
    encoded: int = 0
    captioned: int = 0
    failed: list[CapsmithError] = field(default_factory=list)
    kept: int = 0

    def __str__(self) -> str:
        names = ("new", "changed", "moved", "deleted", "unchanged", "captioned", "kept")
        parts = [f"{count:,} {name}" for name in names if (count := getattr(self, name))]
        if self.failed:
            parts.append(f"{len(self.failed):,} unreadable")
        return f"{self.total:,} images" + (f" ({', '.join(parts)})" if parts else "")


def build_index(
    images: str | Path,
    out: str | Path,
    embedder: Embedder,
    captioner: Captioning | None = None,
    *,
    recursive: bool = True,
    workers: int | None = None,
    batch_size: int = KERAS_BATCH,
    runs: Sequence[str | Path] = (),
    engine: str | Sequence[str] | None = None,
    plugins: Sequence[str] = (),
    prepare: Callable[[], None] | None = None,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Makes the index of a folder of images, or brings it up to date.

    Killed at any time, the same call goes on where it stopped. An image counts as unchanged if size and time of its
    file are; a file of a known content is not encoded again, whatever its name.

    Args:
        images: The folder.
        out: The index, a folder.
        embedder: The model; an index belongs to one.
        captioner: Also captions the images, so that their words can be searched.
        recursive: Look into the folders of the folder.
        workers: Threads that decode images; by default one for each core, at most 16. Of ``ray``, processes.
        batch_size: Images that are encoded at once.
        runs: The model's runs, by which ``capsmith search`` finds it.
        engine: ``local`` or ``ray``: images are computed in a sharded job, by this process or by a cluster whose nodes
            see both folders; needs ``runs``. Or the model's engine, such as ``clip:PRESET``. Or both.
        plugins: Plugins that the model needs; workers of ``ray`` load them.
        prepare: Called before the first image is encoded, if any is.
        told: Told how many images are encoded, and of how many.

    Raises:
        ConfigError: ``out`` cannot be written, or is the index of other images; or the engine is unknown.
        DataError: The folder has no images, or cannot be read.
        IndexBusy, IndexModelError, ImageIndexError: Another process writes the index, another model made it, or it is
            damaged.
        KeyboardInterrupt: With a note that says how to go on.
    """
    root, folder = path_argument(images, "images"), path_argument(out, "out")
    if not root.is_dir():
        raise DataError(f"{root}: {'not a folder of images' if root.exists() else 'no such folder'}")
    engines = Engines.of(engine)
    computing = engines.engine(workers)
    job = VectorWork.of(root, embedder, runs, engines.model, plugins, batch_size, prepare) if computing else None
    selection = select([root], recursive).rooted()
    with IndexWriter.open(folder, IndexFile.of(embedder, runs, engines.model), embedder) as writer:
        writer.take_root(root)
        work = _Work(writer, selection)
        threads = workers or min(os.cpu_count() or 1, 16)
        began = time.monotonic()
        try:
            if computing and job:
                for part in sharded_vectors(writer, job, computing, work.todo, work.stamps):
                    work.save(part, told)
            elif work.todo:
                with closing(
                    encode_images(embedder, work.todo, writer.hashes, threads, batch_size, prepare)
                ) as encoded:
                    work.save(encoded, told)
            work.finish()
            if captioner is not None:
                work.caption(captioner, root, computing)
        except KeyboardInterrupt as error:
            if not getattr(error, "__notes__", ()):  # a job has said how to go on
                error.add_note(f": {work.left:,} of {len(selection.items):,} images are left; {GO_ON}")
            raise
    if work.report.encoded:
        seconds = time.monotonic() - began
        rate = work.report.encoded / max(seconds, 1e-9)
        logger.info(f"encoded {work.report.encoded:,} images in {seconds:,.0f} s ({rate:,.1f} images/s)")
    return work.report


class _Work:
    """One command: what the folder holds now, beside what the index knows."""

    def __init__(self, writer: IndexWriter, selection: Selection) -> None:
        self.writer, self.report = writer, Report(failed=list(selection.failed))
        known = writer.images()
        self.stamps = {item.name: Stamp.of(item.path) or _NO_STAMP for item in selection.items}
        here = {os.fsencode(item.name): item for item in selection.items}
        self._known = known
        self.todo = [item for name, item in here.items() if self._is_new(known.get(name), item)]
        self.report.unchanged = len(here) - len(self.todo)
        self.left = len(self.todo)
        gone = {name: image for name, image in known.items() if name not in here}
        if selection.failed:  # perhaps a drive that is not there: its images stay
            self.report.kept, gone = len(gone), {}
        self._gone = {image.id for image in gone.values()}
        self._by_hash: dict[bytes, list[int]] = defaultdict(list)
        for image in gone.values():
            if image.hash is not None:
                self._by_hash[image.hash].append(image.id)

    def _is_new(self, known: Known | None, item: Item) -> bool:
        return known is None or known.hash is None or known.stamp != self.stamps[item.name]

    def save(self, batches: Iterable[list[Encoded]], told: Callable[[int, int], None]) -> None:
        """Saves images as they are encoded."""
        waiting: list[Entry] = []
        saved, done = time.monotonic(), 0
        with progress_bar(total=self.left, desc="index", unit="image") as bar:
            for batch in batches:
                waiting += [self._entry(image) for image in batch]
                bar.update(len(batch))
                done += len(batch)
                told(done, len(self.todo))
                if time.monotonic() - saved > _SAVE_SECONDS or len(waiting) >= _SAVE_IMAGES:
                    self._save(waiting)
                    waiting, saved = [], time.monotonic()
        self._save(waiting)

    def _save(self, entries: list[Entry]) -> None:
        self.writer.save(entries)
        self.left -= len(entries)

    def _entry(self, image: Encoded) -> Entry:
        """Returns what to save, and counts it."""
        name = os.fsencode(image.item.name)
        known, stamp = self._known.get(name), image.stamp or self.stamps[image.item.name]
        id = known.id if known else None
        if image.error is not None or image.hash is None:
            error = image.error or ImageError(f"{image.item.path}: unreadable")
            self.report.failed.append(error)
            return Entry(name, stamp, None, id, error=one_line(error).removeprefix(f"{image.item.path}: "))
        self.report.encoded += image.vectors is not None
        if known is not None and known.hash is not None:
            self.report.changed += image.hash != known.hash
            self.report.unchanged += image.hash == known.hash
        elif known is None and self._by_hash[image.hash]:
            id = self._by_hash[image.hash].pop(0)
            self._gone.remove(id)
            self.report.moved += 1
        else:
            self.report.new += 1
        return Entry(name, stamp, image.hash, id, image.look, image.vectors)

    def finish(self) -> None:
        """Removes images that are gone, and their vectors if there are many."""
        remove_jobs(self.writer.folder, VectorWork.title)
        self.report.deleted = len(self._gone)
        self.writer.remove(sorted(self._gone))
        self.writer.compact()
        self.report.total = self.writer.readable()

    def caption(self, captioner: Captioning, root: Path, engine: Engine | None) -> None:
        """Captions the contents that this captioner has not captioned yet."""
        todo = self.writer.uncaptioned(captioner.fingerprint)
        self.left = len(todo)
        if engine is not None and captioner.work is not None:
            for part in sharded_captions(self.writer, captioner.work, engine, root, todo):
                self._save_captions(part, captioner)
            remove_jobs(self.writer.folder, captioner.work.title)
        elif todo:
            with closing(_captions(captioner, root, todo)) as captions:
                self._save_captions(captions, captioner)

    def _save_captions(self, batches: Iterable[list[tuple[int, str | ImageError]]], captioner: Captioning) -> None:
        waiting: list[tuple[int, str]] = []
        saved = time.monotonic()
        with progress_bar(total=self.left, desc="captions", unit="image") as bar:
            for batch in batches:
                bar.update(len(batch))
                self.report.failed += [found for _, found in batch if isinstance(found, ImageError)]
                waiting += [(content, found) for content, found in batch if isinstance(found, str)]
                if time.monotonic() - saved > _SAVE_SECONDS or len(waiting) >= _SAVE_IMAGES:
                    self._caption(waiting, captioner)
                    waiting, saved = [], time.monotonic()
        self._caption(waiting, captioner)

    def _caption(self, captions: list[tuple[int, str]], captioner: Captioning) -> None:
        self.writer.caption(captions, captioner.fingerprint)
        self.left -= len(captions)
        self.report.captioned += len(captions)


def _captions(
    captioner: Captioning, root: Path, todo: Sequence[Uncaptioned]
) -> Generator[list[tuple[int, str | ImageError]], None, None]:
    with closing(captioner.captions([root / os.fsdecode(one.name) for one in todo])) as results:
        for one, result in zip(todo, results, strict=True):
            yield [(one.content, result.caption.text if result.error is None else result.error)]
