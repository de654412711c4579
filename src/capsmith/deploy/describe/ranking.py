"""The images of an index or a source that are most like an image, in meaning and in look.

N images · d dimensions of the joint space · v dimensions of visual vectors.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from capsmith.core.errors import CapsmithError, ImageError, escaped, one_line
from capsmith.core.log import get_logger
from capsmith.deploy.describe.parts import EmbedPart, IndexPart, Source, SourceImage, Vectors
from capsmith.deploy.describe.record import Similar, SimilarImage
from capsmith.deploy.folder.journal import Stamp
from capsmith.deploy.search.hits import By, Hit
from capsmith.vision.images import ImageSource

MOST = 200
"""Images of a source that are compared for one query."""
_BATCH = 16
_KEPT = 5_000  # images of sources whose vectors are remembered
_log = get_logger(__name__)


def similar_in_index(index: IndexPart, name: str, vectors: Vectors, top: int, image: ImageSource) -> Similar:
    """Returns the images of an index that are most like an image, without the image itself.

    Args:
        index: The index.
        name: Its name in the record.
        vectors: The vectors of the image.
        top: Images of each kind, at most.
        image: The image.
    """

    def best(by: By) -> tuple[SimilarImage, ...]:
        hits = index.search_vectors(vectors.semantic, vectors.visual, top + 1, by=by)
        pairs = ((hit, index.path(hit.id)) for hit in hits)
        return tuple(_of_hit(hit, path) for hit, path in pairs if not _same(path, image))[:top]

    return Similar(name, len(index), best("semantic"), best("visual"))


class SourceRanking:
    """Ranks the images of a source by their likeness to an image. It remembers their vectors.

    Args:
        source: The source.
        vectors: Computes the vectors of images.
    """

    def __init__(self, source: Source, vectors: EmbedPart) -> None:
        self.source, self._vectors = source, vectors
        self._known: OrderedDict[tuple[Path, Stamp | None], Vectors] = OrderedDict()
        self._lock = threading.Lock()

    def similar(self, query: str, vectors: Vectors, top: int, image: ImageSource) -> Similar:
        """Returns the images that the source finds and that are most like an image, without the image itself.

        Args:
            query: What the source is asked.
            vectors: The vectors of the image.
            top: Images of each kind, at most.
            image: The image.

        Raises:
            CapsmithError: The source has no image, or cannot be asked.
        """
        images = [one for one in self._images(query) if not _same(one.path, image)]
        with self._lock:  # several threads may describe images
            pairs = list(self._embedded(images))
        query = query if self.source.reads_query else ""
        if not pairs:
            raise CapsmithError(f"{self.source.name} has no other image" + (f" for {query!r:.200}" if query else ""))
        semantic, visual = (np.stack(part) for part in zip(*(one for _, one in pairs), strict=True))
        scores = np.clip(semantic @ vectors.semantic, -1, 1), np.clip(visual @ vectors.visual, -1, 1)
        ranked = [
            tuple(_of_source(pairs[n][0], scores[0][n], scores[1][n]) for n in np.argsort(-kind, kind="stable")[:top])
            for kind in scores
        ]
        return Similar(self.source.name, len(pairs), ranked[0], ranked[1], query)

    def _images(self, query: str) -> list[SourceImage]:
        found: dict[Path, SourceImage] = {}
        for one in self.source.images(query):
            found.setdefault(one.path, one)
            if len(found) == MOST:
                break
        return list(found.values())

    def _embedded(self, images: Sequence[SourceImage]) -> Iterator[tuple[SourceImage, Vectors]]:
        """Yields the images that can be read, with their vectors."""
        keys = {one.path: (one.path, Stamp.of(one.path)) for one in images}
        new = [one for one in images if keys[one.path] not in self._known]
        for first in range(0, len(new), _BATCH):
            readable, pixels = [], []
            for one in new[first : first + _BATCH]:
                try:
                    pixels.append(self._vectors.pixels(one.path))
                    readable.append(one)
                except ImageError as error:
                    _log.warning("%s: left out: %s", self.source.name, one_line(error))
            for one, vectors in zip(readable, self._vectors.batch(pixels) if pixels else (), strict=True):
                self._known[keys[one.path]] = vectors
        for one in images:
            if (key := keys[one.path]) in self._known:
                self._known.move_to_end(key)
                yield one, self._known[key]
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)


def _of_hit(hit: Hit, path: Path) -> SimilarImage:
    return SimilarImage(path, hit.semantic or 0.0, hit.visual or 0.0, hit.id, hit.path, hit.caption)


def _of_source(image: SourceImage, semantic: float, visual: float) -> SimilarImage:
    name = escaped(image.title or image.path.name)
    return SimilarImage(image.path, float(semantic), float(visual), None, name, None, image.page, image.credit)


def _same(path: Path, image: ImageSource) -> bool:
    """Returns whether the image is this file."""
    try:
        return isinstance(image, str | Path) and os.path.samefile(path, image)
    except OSError:
        return False
