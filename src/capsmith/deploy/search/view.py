"""The vectors of an index that are committed, and the ranking of images by them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from capsmith.core.database import Database
from capsmith.core.errors import FeatureError
from capsmith.deploy.search.catalog import State, live_rows, state_of
from capsmith.deploy.search.index_file import ADVICE, ImageIndexError, IndexFile
from capsmith.deploy.search.vector_file import KINDS, VectorFile
from capsmith.retrieval.vectors import VectorSearch, search_of

Queries = tuple[np.ndarray | None, np.ndarray | None]
"""The semantic vector (1, d) and the visual vector (1, v) of a query; None: the query has no such."""
_TRIES = 3  # to open the vectors while another process replaces their files
_LEAST = 200  # candidates of each kind if hits are ranked by both


class View(NamedTuple):
    """The vectors that were committed when it was made.

    Attributes:
        state: What the database said.
        files: The files of both kinds.
        vectors: Semantic (N, d) and visual (N, v) vectors, as memory maps.
        searches: The search over each.
        live: Rows that belong to an image; None: all.
    """

    state: State
    files: Sequence[VectorFile]
    vectors: tuple[np.ndarray, np.ndarray]
    searches: tuple[VectorSearch, VectorSearch]
    live: np.ndarray | None

    @property
    def total(self) -> int:
        """Number of vectors that belong to an image."""
        return self.state.rows if self.live is None else len(self.live)

    def row(self, row: int) -> Queries:
        """Returns the vectors of a row as a query."""
        semantic, visual = (_unit(np.asarray(part[row : row + 1], np.float32)) for part in self.vectors)
        return semantic, visual

    def ranked(
        self, queries: Queries, kinds: Sequence[str], count: int
    ) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
        """Returns rows with their scores, best first.

        Args:
            queries: The vectors of the query.
            kinds: By which of its vectors rows are ranked; if by both, by the mean of the cosines.
            count: Rows to find of each kind.

        Returns:
            Rows; their cosines of each kind; the score that ranks them.
        """
        if len(kinds) > 1:
            count = min(max(count, _LEAST), self.total)
        found = [
            search.nearest(query, count, self.live)[0][0]
            for kind, search, query in zip(KINDS, self.searches, queries, strict=True)
            if kind in kinds and query is not None
        ]
        rows = np.unique(np.concatenate(found))
        scores = {
            kind: np.clip(np.asarray(vectors[rows], np.float32) @ query[0], -1, 1)  # float16 is not exact
            for kind, vectors, query in zip(KINDS, self.vectors, queries, strict=True)
            if query is not None
        }
        rank = np.mean([scores[kind] for kind in kinds], axis=0)
        order = np.lexsort((rows, -rank))
        return rows[order], {kind: one[order] for kind, one in scores.items()}, rank[order]


def current_view(folder: Path, file: IndexFile, database: Database, known: View | None = None) -> View:
    """Returns the vectors that are committed now.

    Args:
        folder: The index.
        file: What it was made by.
        database: Its database.
        known: An earlier view, which is returned if nothing changed since.

    Raises:
        ImageIndexError: The index is damaged.
    """
    for left in reversed(range(_TRIES)):
        state = state_of(database)
        if known is not None and known.state == state:
            return known
        try:
            sizes = zip(KINDS, (file.size, file.visual_size), strict=True)
            files = [VectorFile(folder, kind, state.number, size, state.rows) for kind, size in sizes]
            semantic, visual = (one.read() for one in files)
            break
        except ImageIndexError:
            if not left or state_of(database) == state:  # else the files were just replaced
                raise
    rows = live_rows(database, state)
    live = None if len(rows) == state.rows else rows
    searches = (_search(files[0], semantic), _search(files[1], visual))
    return View(state, files, (semantic, visual), searches, live)


def _search(file: VectorFile, vectors: np.ndarray) -> VectorSearch:
    """Returns the search over the vectors of a file. What an approximate one prepares is kept in the index."""
    prepared = file.path.parent / f"{file.kind}.faiss"
    try:
        return search_of(vectors, cache=None if prepared.is_symlink() else prepared)
    except FeatureError as error:
        raise ImageIndexError(f"{file.path} is damaged ({error}): {ADVICE}") from error


def _unit(vectors: np.ndarray) -> np.ndarray:
    unit: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return unit
