"""The interface of vector searches, and the choice of one.

M stored vectors · Q queries · d dimensions · k neighbours.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from capsmith.retrieval.vectors.exact import ExactSearch
from capsmith.retrieval.vectors.faiss_search import FaissSearch

Kind = Literal["auto", "exact", "faiss"]
EXACT_UP_TO = 1_000_000
"""Number of vectors up to which ``auto`` means the exact search."""


class VectorSearch(Protocol):
    """Finds the nearest of M stored unit vectors."""

    def __len__(self) -> int:
        """Number of stored vectors (M)."""

    def nearest(self, queries: np.ndarray, k: int, rows: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Returns the k nearest vectors of each query, the most similar first.

        Args:
            queries: Unit vectors (Q, d).
            k: Number of neighbours; fewer are returned if fewer are stored, or are in ``rows``.
            rows: Restricts the search to these rows, in any order; None means all.

        Returns:
            Rows (Q, k), int64, and their cosines (Q, k), float32. Equal cosines are in the order of their rows.

        Raises:
            FeatureError: The queries have another size, or hold NaN or infinite values.
        """


def search_of(vectors: np.ndarray, kind: Kind = "auto", cache: Path | None = None) -> VectorSearch:
    """Returns a search over stored vectors.

    Args:
        vectors: Unit vectors (M, d), float16 or float32; an array or a memory map, which must not change.
        kind: ``exact``, ``faiss``, or ``auto``: exact up to a million vectors, above with faiss if it is installed.
        cache: Folder in which what faiss makes of the vectors is kept for the next time; None keeps nothing.

    Raises:
        FeatureError: The vectors hold NaN or infinite values, or are of another type.
        MissingExtraError: ``faiss`` is not installed, and ``kind`` asks for it.
    """
    if kind == "faiss" or (kind == "auto" and len(vectors) > EXACT_UP_TO and find_spec("faiss")):
        return FaissSearch.open(vectors, cache)
    return ExactSearch(vectors)
