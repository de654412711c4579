"""The first stage of an exact search: cosines with a bound on their error.

M stored vectors · Q queries · d dimensions · B rows of a block.
"""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from capsmith.retrieval.vectors.checks import require_unit

_ROUNDING = 2.0**-24  # relative error of one float32 operation
_BLOCK = 2**22  # numbers


class Approximation(Protocol):
    """Computes cosines of stored vectors approximately."""

    def prepare(self, queries: np.ndarray) -> Any:
        """Returns queries (Q, d) in the form that ``scores`` takes."""

    def scores(self, prepared: Any, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns cosines (Q, B) of the rows from first to last, and bounds on their errors, (Q, B) or (Q, 1).

        Called by several threads at once. A product of queries and stored vectors in real arithmetic differs from the
        cosine by no more than the bound.
        """


class FloatApproximation:
    """Cosines in float32, whose rounding errors depend on the order of the sums.

    Args:
        vectors: Stored vectors (M, d), float16 or float32; float16 is converted once and takes twice the memory.

    Raises:
        FeatureError: The vectors hold NaN or infinite values.
    """

    def __init__(self, vectors: np.ndarray) -> None:
        self._vectors = np.ascontiguousarray(vectors, np.float32)
        for first, last in blocks(*vectors.shape):
            require_unit(self._vectors[first:last], first)

    def prepare(self, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the queries, and d times the rounding of one operation: a bound for any order of the sum."""
        norms = np.linalg.norm(queries.astype(np.float64), axis=1, keepdims=True)
        return queries, (1.02 * (queries.shape[1] + 4) * _ROUNDING * norms).astype(np.float32)

    def scores(self, prepared: tuple[np.ndarray, np.ndarray], first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """See ``Approximation.scores``."""
        queries, margins = prepared
        return (self._vectors[first:last] @ queries.T).T, margins


def blocks(rows: int, size: int) -> Iterator[tuple[int, int]]:
    """Yields the first row and the end of each block of a table with rows of a size."""
    step = max(1, _BLOCK // max(1, size))
    for first in range(0, rows, step):
        yield first, min(first + step, rows)
