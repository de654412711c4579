"""Exact search: no stored vector that belongs to the k nearest is missed, whatever the data.

M stored vectors · Q queries · d dimensions · k neighbours.

The search has two stages. The first computes cosines approximately, fast, each with a bound on its error. A row whose
largest possible cosine is below the k-th of the smallest possible ones cannot be among the nearest. The second stage
computes the cosines of the other rows in float64.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from capsmith.core.onnx_session import default_threads
from capsmith.retrieval.vectors.approximation import Approximation, FloatApproximation
from capsmith.retrieval.vectors.checks import checked_queries, checked_rows, require_vectors
from capsmith.retrieval.vectors.rescoring import nearest_of
from capsmith.retrieval.vectors.sketch import Sketch

_SMALL = 2**24  # numbers up to which vectors are kept as float32; above, as 8-bit integers
_BLOCK_NUMBERS = 2**22  # of a block of rows in the first stage
_QUERIES = 16  # in one pass over the vectors
_FEW = 16  # a subset of at most 1/16 of the vectors is rescored without the first stage


class ExactSearch:
    """Implements ``VectorSearch`` exactly.

    The vectors themselves are read only for rows that can be among the nearest, so a memory map stays on disk. Up to
    16 million numbers, they are copied as float32; above, as 8-bit integers.

    Args:
        vectors: Unit vectors (M, d), float16 or float32; an array or a memory map, which must not change.
        approximation: The first stage; by default one that suits the number of vectors.

    Raises:
        FeatureError: The vectors hold NaN or infinite values, or are of another type.
    """

    def __init__(self, vectors: np.ndarray, approximation: Approximation | None = None) -> None:
        require_vectors(vectors)
        self.vectors = vectors
        self._approximation = approximation or approximation_of(vectors)

    def __len__(self) -> int:
        return len(self.vectors)

    def nearest(self, queries: np.ndarray, k: int, rows: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """See ``VectorSearch.nearest``."""
        queries = checked_queries(queries, self.vectors.shape[1])
        if rows is not None:
            rows = checked_rows(rows, len(self))
        k = max(0, min(k, len(self) if rows is None else len(rows)))
        found = np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.float32)
        if k:
            with ThreadPoolExecutor(default_threads()) as pool:
                for first in range(0, len(queries), _QUERIES):
                    some = queries[first : first + _QUERIES]
                    for n, candidates in enumerate(self._candidates(pool, some, k, rows), first):
                        found[0][n], found[1][n] = nearest_of(pool, self.vectors, candidates, queries[n], k)
        return found

    def _candidates(
        self, pool: ThreadPoolExecutor, queries: np.ndarray, k: int, rows: np.ndarray | None
    ) -> Iterator[np.ndarray]:
        """Yields for each query the rows that can be among the k nearest."""
        if rows is not None and len(rows) * _FEW <= len(self):
            yield from (rows for _ in queries)
            return
        allowed = None
        if rows is not None:
            allowed = np.zeros(len(self), bool)
            allowed[rows] = True
        prepared = self._approximation.prepare(queries)
        step = max(1024, _BLOCK_NUMBERS // max(1, self.vectors.shape[1]))
        floors = [_Floor(k) for _ in queries]

        def block(first: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
            last = min(first + step, len(self))
            scores, margins = self._approximation.scores(prepared, first, last)
            some = None if allowed is None else allowed[first:last]
            return [
                _contenders(first, score, margin, floor, some)
                for score, margin, floor in zip(scores, margins, floors, strict=True)
            ]

        parts = list(pool.map(block, range(0, len(self), step)))
        for n in range(len(queries)):
            found, lower, upper = (np.concatenate([part[n][i] for part in parts]) for i in range(3))
            yield found[upper >= _kth_largest(lower, k)]


def approximation_of(vectors: np.ndarray) -> Approximation:
    """Returns the first stage that suits the number of vectors."""
    return FloatApproximation(vectors) if vectors.size <= _SMALL else Sketch(vectors)


class _Floor:
    """A cosine that the k nearest of a query reach at least; it rises while blocks are searched."""

    def __init__(self, k: int) -> None:
        self.k, self.value = k, -np.inf

    def raise_to(self, lower: np.ndarray) -> float:
        """Takes the smallest possible cosines of some rows into account; returns the value."""
        if len(lower) >= self.k:
            # another thread may set a smaller value in between: more rows are kept then, and none is lost
            self.value = max(self.value, _kth_largest(lower, self.k))
        return self.value


def _contenders(
    first: int, scores: np.ndarray, margins: np.ndarray, floor: _Floor, allowed: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the rows of a block that can be among the k nearest, and their smallest and largest possible cosines."""
    rows = np.arange(first, first + len(scores))
    lower, upper = scores - margins, scores + margins
    if allowed is not None:
        rows, lower, upper = rows[allowed], lower[allowed], upper[allowed]
    kept = np.flatnonzero(upper >= floor.raise_to(lower))
    return rows[kept], lower[kept], upper[kept]


def _kth_largest(values: np.ndarray, k: int) -> float:
    return float(np.partition(values, len(values) - k)[len(values) - k])
