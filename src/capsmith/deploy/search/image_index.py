"""An index that is open for searching."""

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np

from capsmith.core.database import Database
from capsmith.core.errors import ConfigError
from capsmith.core.files import path_argument
from capsmith.deploy.folder.names import printable_name
from capsmith.deploy.search.catalog import CHECKED, check_blocks, checked_name, read_catalog, root_of
from capsmith.deploy.search.hits import By, Candidate, Hit, hits_of, require_by, wanted
from capsmith.deploy.search.index_file import ImageIndexError, IndexFile
from capsmith.deploy.search.vector_file import KINDS
from capsmith.deploy.search.view import Queries, View, current_view
from capsmith.deploy.search.words import best_captions
from capsmith.retrieval.embedder import Embedder
from capsmith.vision.images import ImageSource, load_sizes

MOST = 10_000
"""Most hits of a search."""
_SQL = 500  # values in one statement


class UnknownImage(ImageIndexError):
    """There is no such image in the index."""


class ImageIndex:
    """An index that is open for searching; ``ImageIndex.open`` opens one. Its methods may be called by any thread.

    It follows the index: images that another process adds or removes are found or not, from the next search on.

    Attributes:
        folder: The index.
        file: What it was made by.
        embedder: The model; None: only ``more_like`` and ``search_words`` are possible.
    """

    def __init__(self, folder: Path, file: IndexFile, database: Database, embedder: Embedder | None) -> None:
        self.folder, self.file, self.embedder = folder, file, embedder
        self._database = database
        self._lock, self._encoding = threading.Lock(), threading.Lock()
        self._view: View | None = None

    @classmethod
    def open(cls, folder: str | Path, embedder: Embedder | None = None) -> "ImageIndex":
        """Opens an index. It may be written by another process meanwhile.

        Args:
            folder: The index.
            embedder: The model that made it.

        Raises:
            IndexModelError: Another model made it.
            ImageIndexError: The folder is no index, or is damaged.
        """
        folder = path_argument(folder, "index")
        file = IndexFile.read(folder)
        if embedder is not None:
            file.require(embedder, folder)
        index = cls(folder, file, read_catalog(folder), embedder)
        try:
            view = index._current()
            if sum(part.nbytes for part in view.vectors) <= CHECKED:
                check_blocks(index._database, view.files)
        except BaseException:
            index.close()
            raise
        return index

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Closes the index."""
        self.close()

    def close(self) -> None:
        """Closes the index."""
        self._database.close()

    def __len__(self) -> int:
        """Returns the number of images that can be found."""
        count: int = self._database.rows("SELECT count(content) FROM images")[0][0]
        return count

    @property
    def root(self) -> Path:
        """The folder of the images.

        Raises:
            ImageIndexError: The index does not know it yet.
        """
        name = root_of(self._database)
        if name is None:
            raise ImageIndexError(f"{self.folder} has no images yet: capsmith index goes on")
        return Path(os.path.normpath(os.path.join(os.path.abspath(self.folder), os.fsdecode(name))))

    def path(self, id: int) -> Path:
        """Returns the file of an image.

        Raises:
            UnknownImage: There is none with this number.
            ImageIndexError: Its name leads out of the folder: the index was tampered with.
        """
        rows = self._database.rows("SELECT name FROM images WHERE id = ?", (id,))
        if not rows:
            raise UnknownImage(f"there is no image {id} in {self.folder}")
        return self.root / checked_name(self._database, rows[0][0])

    def find(self, path: str) -> int:
        """Returns the number of the image with this path, relative to the folder of the images or complete.

        Raises:
            UnknownImage: There is none, or it could not be read.
        """
        names = dict.fromkeys((path, os.path.relpath(os.path.abspath(path), self.root)))
        for name in names:
            rows = self._database.rows("SELECT id, content FROM images WHERE name = ?", (os.fsencode(name),))
            if rows and rows[0][1] is None:
                raise UnknownImage(f"{path} could not be read when {self.folder} was made")
            if rows:
                return int(rows[0][0])
        raise UnknownImage(f"{path} is not in {self.folder}: name an image relative to {self.root}")

    def captioned(self) -> int:
        """Returns the number of pictures whose captions can be searched."""
        count: int = self._database.rows("SELECT count(*) FROM contents WHERE captioner != ''")[0][0]
        return count

    # --- searches ----------------------------------------------------------------------------------------------------

    def search_text(self, text: str, top: int = 9, threshold: float | None = None, fold: bool = True) -> list[Hit]:
        """Returns the images that a phrase describes best, by the cosine in the joint space.

        Args:
            text: The phrase. Words that the model does not know have no effect; ``embedder.unknown_words`` names them.
            top: Most hits.
            threshold: Least cosine.
            fold: Near-duplicates become one hit.

        Raises:
            ImageIndexError: The index was opened without its model, or is damaged.
        """
        query = self._model().embed_texts([text])
        return self._found((query, None), "semantic", top, threshold, fold)

    def search_image(
        self, image: ImageSource, top: int = 9, threshold: float | None = None, by: By = "visual", fold: bool = True
    ) -> list[Hit]:
        """Returns the images that are most like another one.

        Args:
            image: A path, bytes, a PIL image or an array.
            top: Most hits.
            threshold: Least score by which they are ranked.
            by: What they are ranked by.
            fold: Near-duplicates become one hit.

        Raises:
            ImageError: The image cannot be read.
            ImageIndexError: The index was opened without its model, or is damaged.
        """
        model = self._model()
        pixels = load_sizes(image, model.image_sizes, framing=model.framing)
        with self._encoding:
            features = model.encode(*(part[None] for part in pixels))
        vectors = model.embed_features(features)[0], model.visual_vectors(features)[0]
        return self.search_vectors(*vectors, top, threshold, by, fold)

    def search_vectors(
        self,
        semantic: np.ndarray,
        visual: np.ndarray,
        top: int = 9,
        threshold: float | None = None,
        by: By = "visual",
        fold: bool = True,
    ) -> list[Hit]:
        """Returns what ``search_image`` does, for an image whose unit vectors (d,) and (v,) are known."""
        require_by(by)
        return self._found((semantic[None], visual[None]), by, top, threshold, fold)

    def more_like(
        self, id: int, top: int = 9, threshold: float | None = None, by: By = "visual", fold: bool = True
    ) -> list[Hit]:
        """Returns the images that are most like one of the index, without itself; needs no model.

        Args:
            id: The image.
            top: Most hits.
            threshold: Least score by which they are ranked.
            by: What they are ranked by.
            fold: Near-duplicates become one hit.

        Raises:
            UnknownImage: There is no such image, or it could not be read.
        """
        require_by(by)
        sql = "SELECT c.row FROM images i JOIN contents c ON c.id = i.content WHERE i.id = ?"
        view = self._current()
        rows = self._database.rows(sql, (id,))
        if not rows or not 0 <= rows[0][0] < view.state.rows:
            raise UnknownImage(f"there is no image {id} in {self.folder}, or it could not be read")
        row = rows[0][0]
        return self._found(view.row(row), by, top, threshold, fold, without=row)

    def search_words(self, words: str, top: int = 9, threshold: float | None = None, fold: bool = True) -> list[Hit]:
        """Returns the images whose indexed captions contain words, the best match first (BM25).

        Args:
            words: Words in any order; a caption needs one of them.
            top: Most hits.
            threshold: Least score.
            fold: Near-duplicates become one hit.
        """
        found, _ = best_captions(self._database, words, wanted(top, fold))
        kept = [(content, score) for content, score in found if threshold is None or score >= threshold]
        candidates = self._candidates("id", [content for content, _ in kept], {"words": dict(kept)}, self._current())
        return hits_of(candidates, fold)[:top]

    def unknown_caption_words(self, words: str) -> list[str]:
        """Returns the words of a query that occur in no caption."""
        return best_captions(self._database, words, 0)[1]

    def _found(
        self,
        queries: Queries,
        by: By,
        top: int,
        threshold: float | None,
        fold: bool,
        without: int | None = None,
    ) -> list[Hit]:
        """Returns the hits of a search over vectors; asks for more until there are enough after folding."""
        if not 1 <= top <= MOST:
            raise ConfigError(f"top: {top} is not a number from 1 to {MOST:,}")
        view = self._current()
        total = view.total
        count = min(wanted(top, fold) + (without is not None), total)
        while count:
            rows, scores, ranks = view.ranked(queries, KINDS if by == "both" else (by,), count)
            kept = ranks >= (-np.inf if threshold is None else threshold)
            if without is not None:
                kept &= rows != without
            named = {kind: dict(zip(rows.tolist(), one.tolist(), strict=True)) for kind, one in scores.items()}
            hits = hits_of(self._candidates("row", rows[kept].tolist(), named, view), fold)
            if len(hits) >= top or count >= total or not kept[-1]:
                return hits[:top]
            count = min(4 * count, total)
        return []

    def _candidates(
        self, key: str, values: Sequence[int], scores: dict[str, dict[int, float]], view: View
    ) -> list[Candidate]:
        """Returns the images of contents, in the order of the contents."""
        found: dict[int, list[tuple[int, str, int, int, str | None]]] = {}
        for first in range(0, len(values), _SQL):
            part = values[first : first + _SQL]
            marks = ", ".join("?" * len(part))
            for value, *image, name in self._database.rows(
                f"SELECT c.{key}, i.id, c.look, c.row, c.caption, i.name FROM contents c "  # noqa: S608  text of ours
                f"JOIN images i ON i.content = c.id WHERE c.{key} IN ({marks}) ORDER BY i.name",
                part,
            ):
                id, look, row, caption = image
                checked_name(self._database, name)  # of duplicates too, whose files are not opened here
                found.setdefault(value, []).append((id, printable_name(name), look, row, caption))
        candidates = []
        for value in values:
            images = found.get(value)
            if not images or not 0 <= images[0][3] < view.state.rows:  # removed meanwhile
                continue
            id, path, look, row, caption = images[0]
            known = {kind: one[value] for kind, one in scores.items()}
            hit = Hit(id, path, **known, caption=caption, duplicates=tuple(other[1] for other in images[1:]))
            candidates.append(Candidate(hit, look, view.vectors[1][row]))
        return candidates

    # --- vectors -----------------------------------------------------------------------------------------------------

    def _model(self) -> Embedder:
        if self.embedder is None:
            raise ImageIndexError(f"{self.folder} was opened without its model, which a phrase or an image needs")
        return self.embedder

    def _current(self) -> View:
        """Returns the vectors, opened again if the index changed."""
        with self._lock:
            self._view = current_view(self.folder, self.file, self._database, self._view)
            return self._view
