"""An index of images that is served: searched, and scanned again in the background."""

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from capsmith.core.errors import CapsmithError, escaped, one_line, out_of_memory
from capsmith.core.log import get_logger
from capsmith.deploy.pictures import Pictures
from capsmith.deploy.search.image_index import ImageIndex
from capsmith.retrieval.embedder import Embedder

log = get_logger(__name__)

Told = Callable[[int, int | None], None]
"""Told by a scan how many images are done, and of how many if that is known."""


class UnknownIndex(CapsmithError):
    """A request names an index that is not served."""


class Refreshing(CapsmithError):
    """The index is being refreshed."""


@dataclass(frozen=True)
class OpenIndex:
    """An index, and how its folder is scanned again.

    Attributes:
        folder: The folder of the index.
        embedder: The embedding of its images.
        index: The open index, which follows its files.
        scan: Scans its images again, and returns how many are new, changed, … by name.
    """

    folder: Path
    embedder: Embedder
    index: ImageIndex
    scan: Callable[[Told], Mapping[str, int]]


@dataclass
class Refresh:
    """The last or present scan of an index.

    Attributes:
        running: It is not finished.
        done: Images that are done.
        total: Images in all; None if that is not known.
        message: Why it failed; None if it did not.
        report: How many images are new, changed, and so on; None before the end.
    """

    running: bool = False
    done: int = 0
    total: int | None = None
    message: str | None = None
    report: dict[str, int] | None = None

    def describe(self) -> dict[str, Any]:
        """Returns it as JSON."""
        return dict(vars(self))


@dataclass(eq=False)
class ServedIndex:
    """An index that is served.

    Attributes:
        name: Its name in requests.
        place: Where it is.
        refresh: The last or present scan.
    """

    name: str
    place: OpenIndex
    refresh: Refresh = field(default_factory=Refresh)

    def __post_init__(self) -> None:
        self.pictures = Pictures(self.place.folder)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def index(self) -> ImageIndex:
        """The open index."""
        return self.place.index

    @property
    def embedder(self) -> Embedder:
        """The embedding of its images."""
        return self.place.embedder

    @property
    def is_alive(self) -> bool:
        """Whether it is being scanned."""
        return self._thread is not None and self._thread.is_alive()

    def start_refresh(self) -> None:
        """Scans its images again, in a thread.

        Raises:
            Refreshing: That is being done.
        """
        with self._lock:
            if self.is_alive:
                raise Refreshing(f"the index {self.name} is being refreshed")
            self.refresh = Refresh(running=True)
            self._thread = threading.Thread(target=self._scan, name=f"refresh {self.name}", daemon=True)
            self._thread.start()

    def _scan(self) -> None:
        state = self.refresh

        def told(done: int, total: int | None) -> None:
            state.done, state.total = done, total

        try:
            state.report = dict(self.place.scan(told))
        except Exception as error:  # the thread's end would not be seen
            state.message = _reason(error)
            log.error("the index %s was not refreshed: %s", self.name, type(error).__name__)
        finally:
            state.running = False

    def picture(self, id: int, large: bool) -> bytes:
        """Returns a JPEG of an image.

        Raises:
            CapsmithError: There is no such image, or it cannot be read.
        """
        path = self.index.path(id)
        return self.pictures.large(path) if large else self.pictures.small(id, path)

    def describe(self) -> dict[str, Any]:
        """Returns what a client should know about it: no path."""
        size, updated = _size(self.place.folder)
        return {
            "name": self.name,
            "model": self.embedder.name,
            "images": len(self.index),
            "captions": bool(self.index.captioned()),
            "updated": updated,
            "bytes": size,
            "refresh": self.refresh.describe(),
        }


def shown_name(path: str) -> str:
    """Returns the path of an image inside its folder, in a form that is safe to show."""
    return escaped(path.encode("utf-8", "backslashreplace").decode())


def _reason(error: Exception) -> str:
    if out_of_memory(error):
        return "not enough memory"
    if isinstance(error, CapsmithError):
        return escaped(one_line(error))[:300]
    return "it failed; the log of the service says more"


def _size(folder: Path) -> tuple[int, str | None]:
    """Returns the bytes of an index, its small pictures aside, and when it was written last."""
    size, latest = 0, 0.0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    status = entry.stat(follow_symlinks=False)
                    size, latest = size + status.st_size, max(latest, status.st_mtime)
    except OSError:
        return size, None
    return size, datetime.fromtimestamp(latest, UTC).isoformat(timespec="seconds") if latest else None
