"""Exact search: no stored vector that belongs to the k nearest is missed, whatever the data.

M stored vectors · Q queries · d dimensions · k neighbours.

The search has two stages. The first computes cosines approximately, fast, each with a bound on its error. A row whose
largest possible cosine is below the k-th of the smallest possible ones cannot be among the nearest. The second stage
computes the cosines of the other rows in float64, summed in the same order for each row, so that equal vectors have
equal cosines.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from capsmith.core.errors import FeatureError
from capsmith.core.onnx_session import default_threads
from capsmith.retrieval.vectors.approximation import Approximation, FloatApproximation
from capsmith.retrieval.vectors.sketch import Sketch

_SMALL = 2**24  # numbers up to which vectors are kept as float32; above, as 8-bit integers
_BLOCK_NUMBERS = 2**24  # of a block of rows in the first stage
_GATHERED = 2**20  # numbers that are rescored at once
_QUERIES = 16  # in one pass over the vectors
_FEW_ROWS = 16  # a subset of less than 1/16 of the vectors is rescored without the first stage


class ExactSearch:
    """Implements ``VectorSearch`` exactly.

    Args:
        vectors: Unit vectors (M, d), float16 or float32; an array or a memory map, which must not change.
        approximation: The first stage; by default one that suits the number of vectors.

    Raises:
        FeatureError: The vectors hold NaN or infinite values, or are of another type.
    """

    def __init__(self, vectors: np.ndarray, approximation: Approximation | None = None) -> None:
        if vectors.ndim != 2 or vectors.dtype not in (np.float16, np.float32):
            raise FeatureError(f"vectors must be (M, d) of float16 or float32, not {vectors.shape} of {vectors.dtype}")
        self.vectors = vectors
        self._threads = default_threads()
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
        if k == 0:
            return found
        with ThreadPoolExecutor(self._threads) as pool:
            for first in range(0, len(queries), _QUERIES):
                some = queries[first : first + _QUERIES]
                for number, candidates in enumerate(self._candidates(pool, some, k, rows), first):
                    cosines = self._cosines(pool, candidates, queries[number])
                    best = np.lexsort((candidates, -cosines))[:k]
                    found[0][number], found[1][number] = candidates[best], cosines[best]
        return found

    def _candidates(
        self, pool: ThreadPoolExecutor, queries: np.ndarray, k: int, rows: np.ndarray | None
    ) -> Iterator[np.ndarray]:
        """Yields for each query the rows that can be among the k nearest."""
        if rows is not None and len(rows) * _FEW_ROWS <= len(self):
            yield from (rows for _ in queries)
            return
        allowed = None
        if rows is not None:
            allowed = np.zeros(len(self), bool)
            allowed[rows] = True
        prepared = self._approximation.prepare(queries)
        step = max(1024, _BLOCK_NUMBERS // max(1, self.vectors.shape[1]))
        floors = np.full(len(queries), -np.inf, np.float32)  # the k-th of the smallest possible cosines so far

        def block(first: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
            scores, margins = self._approximation.scores(prepared, first, min(first + step, len(self)))
            return [_contenders(first, scores[n], margins[n], k, floors, n, allowed) for n in range(len(queries))]

        parts = list(pool.map(block, range(0, len(self), step)))
        for n in range(len(queries)):
            found, lower, upper = (np.concatenate([part[n][i] for part in parts]) for i in range(3))
            yield found[upper >= _kth_largest(lower, k)]

    def _cosines(self, pool: ThreadPoolExecutor, rows: np.ndarray, query: np.ndarray) -> np.ndarray:
        exact, step = query.astype(np.float64), max(1, _GATHERED // max(1, len(query)))

        def block(first: int) -> np.ndarray:
            products = self.vectors[rows[first : first + step]].astype(np.float64)
            products *= exact
            cosines: np.ndarray = products.sum(axis=1).astype(np.float32)
            return cosines

        return np.concatenate(list(pool.map(block, range(0, len(rows), step))))


def approximation_of(vectors: np.ndarray) -> Approximation:
    """Returns the first stage that suits the number of vectors."""
    return FloatApproximation(vectors) if vectors.size <= _SMALL else Sketch(vectors)


def _contenders(
    first: int,
    scores: np.ndarray,
    margin: np.ndarray,
    k: int,
    floors: np.ndarray,
    query: int,
    allowed: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the rows of a block that can be among the k nearest, and their smallest and largest possible cosines."""
    lower, upper = scores - margin, scores + margin
    if allowed is not None:
        forbidden = ~allowed[first : first + len(scores)]
        lower[forbidden], upper[forbidden] = -np.inf, -np.inf
    if len(lower) >= k:
        floors[query] = max(floors[query], _kth_largest(lower, k))  # a lost update of another thread only costs time
    kept = np.flatnonzero((upper >= floors[query]) & (upper > -np.inf))
    return kept + first, lower[kept], upper[kept]


def _kth_largest(values: np.ndarray, k: int) -> float:
    return float(np.partition(values, len(values) - k)[len(values) - k])


def checked_queries(queries: np.ndarray, size: int) -> np.ndarray:
    """Returns queries (Q, d) as float32; raises FeatureError if they do not fit the vectors."""
    queries = np.asarray(queries, np.float32)
    if queries.ndim != 2 or queries.shape[1] != size:
        raise FeatureError(f"the query vectors are {queries.shape}, and the stored ones have {size} dimensions")
    if not np.isfinite(queries).all():
        raise FeatureError("a query vector holds NaN or infinite values")
    return queries


def checked_rows(rows: np.ndarray, count: int) -> np.ndarray:
    """Returns the distinct rows of a subset in order; raises IndexError if one does not exist."""
    rows = np.unique(np.asarray(rows, np.int64))
    if len(rows) and not 0 <= rows[0] <= rows[-1] < count:
        raise IndexError(f"rows {rows[0]} to {rows[-1]} of {count} vectors")
    return rows
