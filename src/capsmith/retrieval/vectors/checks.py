"""What stored vectors, queries and subsets must be.

M stored vectors · Q queries · d dimensions.
"""

import numpy as np

from capsmith.core.errors import FeatureError

_LONGEST = 1.01  # float16 rounds lengths by less


def require_vectors(vectors: np.ndarray) -> None:
    """Raises FeatureError unless the vectors are (M, d) of float16 or float32."""
    if vectors.ndim != 2 or vectors.dtype not in (np.float16, np.float32):
        raise FeatureError(f"vectors must be (M, d) of float16 or float32, not {vectors.shape} of {vectors.dtype}")


def require_unit(vectors: np.ndarray, first: int = 0, name: str = "stored vector") -> None:
    """Raises FeatureError if a vector holds NaN or infinite values, or is longer than 1; zero vectors are allowed.

    Args:
        vectors: float32 (B, d).
        first: The row of the first.
        name: What they are, for the message.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        squares = np.einsum("bd,bd->b", vectors, vectors)
    if (squares <= _LONGEST**2).all():
        return
    index = int(np.flatnonzero(~(squares <= _LONGEST**2))[0])
    finite = np.isfinite(vectors[index]).all()
    length = np.linalg.norm(vectors[index].astype(np.float64))
    fault = f"has the length {length:.3g}, not 1" if finite else "holds NaN or infinite values"
    raise FeatureError(f"{name} {first + index} {fault}")


def checked_queries(queries: np.ndarray, size: int) -> np.ndarray:
    """Returns queries (Q, d) as float32; raises FeatureError if they do not fit the vectors."""
    queries = np.ascontiguousarray(queries, np.float32)
    if queries.ndim != 2 or queries.shape[1] != size:
        raise FeatureError(f"query vectors must be (Q, {size}) like the stored ones, not {queries.shape}")
    require_unit(queries, name="query vector")
    return queries


def checked_rows(rows: np.ndarray, count: int) -> np.ndarray:
    """Returns the distinct rows of a subset in order; raises IndexError if one does not exist."""
    rows = np.asarray(rows)
    if rows.dtype.kind not in "iu" and rows.size:
        raise IndexError(f"rows must be integers, not {rows.dtype}")
    rows = np.unique(rows.astype(np.int64))
    if len(rows) and not 0 <= rows[0] <= rows[-1] < count:
        raise IndexError(f"rows {rows[0]} to {rows[-1]} of {count} vectors")
    return rows
