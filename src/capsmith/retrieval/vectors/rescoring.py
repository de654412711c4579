"""Cosines of given rows, computed so that equal vectors have equal cosines.

M stored vectors · d dimensions · C candidates · k neighbours.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

_GATHERED = 2**19  # numbers that one thread rescores at once


def nearest_of(
    pool: ThreadPoolExecutor, vectors: np.ndarray, rows: np.ndarray, query: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the k best of some rows and their cosines; equal cosines are in the order of their rows.

    Products and sums are float64, summed in the same order for each row, and the sum is rounded to float32.

    Args:
        pool: Computes blocks of rows side by side.
        vectors: Stored vectors (M, d).
        rows: Candidates (C,), each once.
        query: A vector (d,).
        k: Number of rows to return; fewer are returned if there are fewer candidates.
    """
    exact, step = query.astype(np.float64), max(1, _GATHERED // max(1, len(query)))

    def block(first: int) -> np.ndarray:
        products = vectors[rows[first : first + step]].astype(np.float64)
        products *= exact
        cosines: np.ndarray = products.sum(axis=1).astype(np.float32)
        return cosines

    cosines = np.concatenate([np.empty(0, np.float32), *pool.map(block, range(0, len(rows), step))])
    best = np.lexsort((rows, -cosines))[:k]
    return rows[best], cosines[best]
