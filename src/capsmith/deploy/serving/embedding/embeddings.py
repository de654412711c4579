"""What a service has besides captioners, loaded in the background: libraries, indexes of images, and a detector."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from capsmith.core.errors import CapsmithError, escaped
from capsmith.deploy.serving.describing.detecting import ServedDetector
from capsmith.deploy.serving.embedding.indexes import ServedIndex, UnknownIndex
from capsmith.deploy.serving.embedding.libraries import Libraries
from capsmith.deploy.serving.embedding.worker import Worker

_DRAWING = 2  # threads that make pictures


class NotOffered(CapsmithError):
    """The service was started without this."""


class NotLoaded(CapsmithError):
    """Libraries, indexes or the detector are still being loaded."""


@dataclass(eq=False)
class Embeddings:
    """Libraries, indexes and a detector. They are ready at once if they are given, or when ``load`` has ended.

    Attributes:
        worker: The thread that embeds images and texts for requests.
        libraries: The libraries; None if the service has none.
        indexes: The indexes by their names, the default first.
        load_libraries: Loads the libraries; None if there are none, or they are loaded.
        load_indexes: Loads each index, by name.
        detector: The detector; None if the service has none.
        load_detector: Loads it; None if there is none, or it is loaded.
    """

    worker: Worker = field(default_factory=lambda: Worker("embedding", 64))
    libraries: Libraries | None = None
    indexes: dict[str, ServedIndex] = field(default_factory=dict)
    load_libraries: Callable[[], Libraries] | None = None
    load_indexes: Mapping[str, Callable[[], ServedIndex]] = field(default_factory=dict)
    detector: ServedDetector | None = None
    load_detector: Callable[[], ServedDetector] | None = None
    _drawing: ThreadPoolExecutor | None = None

    def load(self) -> None:
        """Loads all; called by a thread.

        Raises:
            CapsmithError: A model, a library, an index or the detector cannot be loaded.
        """
        if self.load_detector is not None:
            self.detector = self.load_detector()
        if self.load_libraries is not None:
            self.libraries = self.load_libraries()
        for name, load in self.load_indexes.items():
            self.indexes[name] = load()

    @property
    def ready(self) -> bool:
        """Whether all that was asked for is loaded."""
        recommends = self.load_libraries is None or self.libraries is not None
        detects = self.load_detector is None or self.detector is not None
        return recommends and detects and len(self.indexes) >= len(self.load_indexes)

    @property
    def index_names(self) -> list[str]:
        """The names of all indexes, also of those that are not loaded yet; the default first."""
        return list(self.load_indexes or self.indexes)

    def recommending(self) -> Libraries:
        """Returns the libraries.

        Raises:
            NotOffered, NotLoaded: There are none, or not yet.
        """
        if self.libraries is not None:
            return self.libraries
        if self.load_libraries is not None:
            raise NotLoaded("the library is still being loaded")
        raise NotOffered(
            "this service recommends no captions: start it with --recommend RUN (the run of an embedding), or with "
            "--engine clip:PRESET"
        )

    def detecting(self) -> ServedDetector:
        """Returns the detector.

        Raises:
            NotOffered, NotLoaded: There is none, or not yet.
        """
        if self.detector is not None:
            return self.detector
        if self.load_detector is not None:
            raise NotLoaded("the detector is still being loaded")
        raise NotOffered("this service detects nothing: start it with --detector MODEL.onnx")

    @property
    def has_detector(self) -> bool:
        """Whether there is a detector, loaded or not."""
        return self.detector is not None or self.load_detector is not None

    def describing(
        self, index: str | None, library: str | None
    ) -> tuple[ServedDetector | None, ServedIndex | None, Libraries | None]:
        """Returns what there is to describe images by.

        Args:
            index: Name of the index; None: the first one, if there is any.
            library: Name of the library; None: the first one, if there is any.

        Raises:
            NotOffered, NotLoaded, UnknownIndex, UnknownLibrary: What is named is not there, or something not yet.
        """
        has_libraries = self.libraries is not None or self.load_libraries is not None
        detector = self.detecting() if self.has_detector else None
        found = self.index(index) if self.index_names or index is not None else None
        libraries = self.recommending() if has_libraries or library is not None else None
        if libraries is not None:
            libraries.get(library)
        return detector, found, libraries

    def index(self, name: str | None = None) -> ServedIndex:
        """Returns an index by its name, by default the first.

        Raises:
            NotOffered, NotLoaded, UnknownIndex: There is none, not yet, or none of this name.
        """
        names = self.index_names
        if not names:
            raise NotOffered(
                "this service has no index of images: make one with capsmith index, and start the service with "
                "--search INDEX"
            )
        if name is not None and name not in names:
            raise UnknownIndex(f"index: {escaped(name)[:64]!r} is not served here (one of: {', '.join(names)})")
        found = self.indexes.get(names[0] if name is None else name)
        if found is None:
            raise NotLoaded("the index is still being loaded")
        return found

    async def draw(self, index: ServedIndex, id: int, large: bool) -> bytes:
        """Returns a JPEG of an image of an index; searches do not wait for it.

        Raises:
            CapsmithError: There is no such image, or it cannot be read.
        """
        if self._drawing is None:
            self._drawing = ThreadPoolExecutor(_DRAWING, "pictures")
        return await asyncio.get_running_loop().run_in_executor(self._drawing, index.picture, id, large)

    @property
    def busy(self) -> bool:
        """Whether a thread computes."""
        detects = self.detector is not None and self.detector.worker.is_alive
        return self.worker.is_alive or detects or any(index.is_alive for index in self.indexes.values())

    def give_up(self) -> None:
        """Ends all accepted requests."""
        self.worker.give_up()
        if self.detector is not None:
            self.detector.worker.give_up()

    async def close(self) -> None:
        """Finishes the accepted requests. A scan of an index is not waited for: the next one continues it."""
        if self._drawing is not None:
            self._drawing.shutdown(wait=False, cancel_futures=True)
        await self.worker.close()
        if self.detector is not None:
            await self.detector.worker.close()
