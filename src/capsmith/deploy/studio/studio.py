"""A studio that runs: a project, the model that proposes, and what the operations share."""

import asyncio
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from capsmith.core.errors import one_line
from capsmith.deploy.folder.names import printable_name
from capsmith.deploy.folder.selection import select
from capsmith.deploy.pictures import Pictures
from capsmith.deploy.serving.models import Models
from capsmith.deploy.studio.exports import Exported, export_captions
from capsmith.deploy.studio.looks import Looks
from capsmith.deploy.studio.proposals import Proposals
from capsmith.deploy.studio.rows import utf8
from capsmith.deploy.studio.scan import take_over
from capsmith.deploy.studio.store import Store

_DRAWING = 2  # threads that make JPEGs
_POLL = 0.05  # seconds after which it is looked whether the models are loaded


class Retraining(Protocol):
    """Trains from the corrections in a process of its own; its methods may be called by any thread."""

    def start(self) -> Any:
        """Starts a training."""

    def status(self) -> dict[str, Any]:
        """Returns the state of the last training."""

    def stop(self) -> Any:
        """Stops a training that runs."""


@dataclass
class Studio:
    """A project that is open in a service.

    Attributes:
        store: The project; the studio owns it.
        models: The models; the default one proposes. They may still be loading.
        fingerprint: Identifies the default model and its settings.
        again: Also caption untouched images for which another model proposed.
        workers: Threads that decode images in the background.
        recursive: Look into the folders of the folder.
        retraining: Trains from the corrections; None: that is not possible.
    """

    store: Store
    models: Models
    fingerprint: str
    again: bool = False
    workers: int = 2
    recursive: bool = True
    retraining: Retraining | None = None
    proposals: Proposals | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.pictures = Pictures(self.store.project)
        self.looks = Looks(self.store, self.models, self.fingerprint)
        self._exporting, self._scanning = asyncio.Lock(), asyncio.Lock()
        self._changed = asyncio.Event()
        self._drawing = ThreadPoolExecutor(_DRAWING, "studio pictures")  # edits do not wait behind large images
        self._folder = printable_name(os.fsencode(os.path.basename(os.path.abspath(self.store.root))))

    async def scan(self) -> None:
        """Lists the folder again, and captions what is new.

        Raises:
            CapsmithError: The folder cannot be read, or has no images any more.
        """
        async with self._scanning:
            selection = await asyncio.to_thread(select, [self.store.root], self.recursive)
            await asyncio.to_thread(take_over, self.store, selection.rooted(), self.fingerprint, self.again)
        self._changed.set()

    async def run(self) -> None:
        """Captions what has no caption, as soon as the models are loaded, and again after each scan."""
        while not self.models.ready:
            if self.models.error is not None:
                return
            await asyncio.sleep(_POLL)
        self.proposals = Proposals(self.store, self.models.get(), self.fingerprint, self.again, self.workers)
        while True:
            await self.proposals.run()
            await self._changed.wait()
            self._changed.clear()

    def progress(self) -> dict[str, Any]:
        """Returns how far captioning and correcting are."""
        known = {"project": self.store.identity, "folder": self._folder}
        counts = known | self.store.counts()._asdict()
        if self.models.error is not None:
            return counts | {"running": False, "message": utf8(one_line(self.models.error))}
        if self.proposals is None:  # the models are loading
            return counts | {"running": bool(self.store.todo(self.fingerprint, self.again)), "message": None}
        return counts | {"running": self.proposals.running, "message": utf8(self.proposals.error) or None}

    async def export(self, formats: Sequence[str]) -> Exported:
        """Writes exports, one at a time.

        Raises:
            CapsmithError: As ``export_captions``.
        """
        async with self._exporting:
            return await asyncio.to_thread(export_captions, self.store, formats)

    async def image_file(self, id: int, large: bool) -> bytes:
        """Returns a JPEG of an image.

        Raises:
            UnknownImage, ImageError: There is no such image, or it cannot be read.
        """
        path: Path = await asyncio.to_thread(self.store.path, id)
        make = partial(self.pictures.large, path) if large else partial(self.pictures.small, id, path)
        return await asyncio.get_running_loop().run_in_executor(self._drawing, make)

    def close(self) -> None:
        """Ends the threads and closes the project."""
        self._drawing.shutdown(wait=False, cancel_futures=True)
        self.store.close()
