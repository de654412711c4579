"""Captions the images of a project in the background, and gives way to the requests of a person.

A few images at a time are decoded in threads and captioned through the model's batcher, as requests are; their
proposals are saved before the next few begin. A killed studio therefore goes on where it stopped.
"""

import asyncio
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

import numpy as np

from capsmith.core.errors import CapsmithError, ImageError, one_line
from capsmith.core.log import get_logger
from capsmith.deploy.studio.records import Proposal, Todo
from capsmith.deploy.studio.rows import utf8
from capsmith.deploy.studio.store import Store
from capsmith.vision.image_files import open_image, upright_size
from capsmith.vision.images import load_image, opened_pixels

logger = get_logger(__name__)

AT_ONCE = 8
"""Images that are captioned at once: a person's request waits for no more than these."""
_PAUSE = 0.02  # seconds after which a waiting task looks again whether a person's requests are answered
_RETRY = 1.0
_DIGITS = 6


class Model(Protocol):
    """What captions: ``serving.models.ServedModel``."""

    @property
    def image_sizes(self) -> Sequence[tuple[int, int]]:
        """Height and width of the pixels for each encoder."""

    @property
    def batcher(self) -> Any:
        """Captions pixels."""

    def decoding(self, options: dict[str, Any]) -> Any:
        """Returns the search."""


class Pixels(NamedTuple):
    """A decoded image: its upright width and height, and one array (H, W, 3) for each encoder."""

    size: tuple[int, int]
    arrays: list[np.ndarray]


def decoded(path: Any, sizes: Sequence[tuple[int, int]]) -> Pixels:
    """Decodes an image file.

    Raises:
        ImageError: It cannot be read; the message does not name it.
    """
    try:
        with open_image(path, str(path)) as image:
            size = upright_size(image)
            first = opened_pixels(image, sizes[0], str(path))  # not opened twice: that decodes a PNG
        return Pixels(size, [first, *(load_image(path, wanted) for wanted in sizes[1:])])
    except ImageError as error:
        raise ImageError(" ".join(utf8(str(error).removeprefix(f"{path}: ")).split())) from error


class Proposals:
    """Captions what a project has no proposals for.

    Args:
        store: The project.
        model: The model.
        fingerprint: Identifies the model and its settings.
        again: Also caption untouched images for which another model proposed.
        workers: Threads that decode.
    """

    def __init__(self, store: Store, model: Model, fingerprint: str, again: bool = False, workers: int = 2) -> None:
        self.store, self.model, self.fingerprint, self.again = store, model, fingerprint, again
        self.running = False
        self.error = ""
        self._workers = workers

    async def run(self) -> None:
        """Captions everything that is to do. Ends early, with ``error`` set, if that is not possible."""
        self.running, self.error = True, ""
        pool = ThreadPoolExecutor(self._workers, "studio decode")
        try:
            todo = await asyncio.to_thread(self.store.todo, self.fingerprint, self.again)
            decoding = self.model.decoding({})
            parts = [todo[first : first + AT_ONCE] for first in range(0, len(todo), AT_ONCE)]
            following = self._decode(pool, parts[0]) if parts else None
            for number, part in enumerate(parts):
                found = await asyncio.gather(*(following or ()))
                following = self._decode(pool, parts[number + 1]) if number + 1 < len(parts) else None
                proposals = [*self._failures(part, found), *await self._captions(part, found, decoding)]
                await asyncio.to_thread(self.store.propose, proposals)
        except Exception as error:  # told to the person, who can go on editing
            known = isinstance(error, CapsmithError | MemoryError)
            self.error = one_line(error) if known else f"an error of capsmith ({type(error).__name__})"
            logger.warning(f"the studio stopped captioning: {self.error}")
        finally:
            self.running = False
            pool.shutdown(wait=False, cancel_futures=True)

    def _decode(self, pool: ThreadPoolExecutor, part: Sequence[Todo]) -> "list[asyncio.Future[Pixels | ImageError]]":
        loop = asyncio.get_running_loop()
        sizes = self.model.image_sizes

        def decode(one: Todo) -> Pixels | ImageError:
            try:
                return decoded(one.path, sizes)
            except ImageError as error:
                return error

        return [loop.run_in_executor(pool, decode, one) for one in part]

    def _failures(self, part: Sequence[Todo], found: Sequence[Pixels | ImageError]) -> Iterator[Proposal]:
        for one, result in zip(part, found, strict=True):
            if isinstance(result, ImageError):
                yield Proposal(one.id, one.stamp, model=self.fingerprint, error=one_line(result))

    async def _captions(
        self, part: Sequence[Todo], found: Sequence[Pixels | ImageError], decoding: Any
    ) -> list[Proposal]:
        """Captions the images that were decoded, as soon as no request of a person waits."""
        from capsmith.deploy.serving.batcher import Overloaded

        readable = [(one, result) for one, result in zip(part, found, strict=True) if isinstance(result, Pixels)]
        if not readable:
            return []
        batcher = self.model.batcher
        while True:
            while batcher.waiting:
                await asyncio.sleep(_PAUSE)
            try:
                captions = await batcher.caption([pixels.arrays for _, pixels in readable], decoding, details=True)
                break
            except Overloaded:
                await asyncio.sleep(_RETRY)
        return [
            proposal_of(one, pixels.size, caption, self.fingerprint)
            for (one, pixels), caption in zip(readable, captions, strict=True)
        ]


def proposal_of(todo: Todo, size: tuple[int, int], caption: Any, model: str) -> Proposal:
    """Returns a ``Caption`` as a proposal."""
    probabilities = [float(probability) for probability in caption.probabilities]
    logarithms = [math.log(max(probability, 1e-12)) for probability in probabilities]
    total = float(caption.log_probability)
    return Proposal(
        todo.id,
        todo.stamp,
        caption.text,
        total,
        sum(logarithms) / len(logarithms) if logarithms else total / max(1, len(caption.words)),
        model,
        size,
        {
            "words": list(caption.words),
            "probabilities": [round(probability, _DIGITS) for probability in probabilities],
            "score": round(float(caption.score), _DIGITS),
            "unlike_training": None if caption.domain is None else bool(caption.domain.unlike_training),
            "alternatives": [
                {
                    "caption": other.text,
                    "log_probability": round(float(other.log_probability), _DIGITS),
                    "score": round(float(other.score), _DIGITS),
                }
                for other in caption.alternatives
            ],
        },
    )
