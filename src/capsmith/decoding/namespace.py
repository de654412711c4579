"""The array namespace ``xp`` of the searches: ``keras.ops`` on a device, and this class for NumPy.

Searches are written once, with functions that NumPy and ``keras.ops`` share, and those defined here.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

_SORTED = 64  # entries of a row that are sorted completely, which is faster than a partition of them


class NumpyNamespace:
    """NumPy with the functions of ``keras.ops`` that it lacks."""

    def __getattr__(self, name: str) -> Any:
        value = self.__dict__[name] = getattr(np, name)
        return value

    @staticmethod
    def cast(array: Any, dtype: str) -> np.ndarray:
        """Returns the array in another dtype."""
        return np.asarray(array).astype(dtype, copy=False)

    @staticmethod
    def convert_to_tensor(value: Any, dtype: str | None = None) -> np.ndarray:
        """Returns a value as an array."""
        return np.asarray(value, dtype)

    @staticmethod
    def top_k(array: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns values and indices (N, k) of the largest entries of (N, M), largest first, equal ones in order."""
        rows, size = array.shape
        row = np.arange(rows)[:, None]
        if size <= _SORTED or k >= size:
            index = np.argsort(-array, axis=1, kind="stable")[:, :k]
            return array[row, index], index.astype(np.int32)
        index = np.argpartition(array, size - k, axis=1)[:, size - k :]
        index.sort(axis=1)
        values = array[row, index]
        least = values.min(axis=1)
        several = np.flatnonzero(np.count_nonzero(array >= least[:, None], axis=1) > k)
        for place in several:  # more than k entries are as large as the k-th: the first of these are taken
            above = np.flatnonzero(array[place] > least[place])
            equal = np.flatnonzero(array[place] == least[place])[: k - len(above)]
            index[place] = np.sort(np.concatenate([above, equal]))
            values[place] = array[place, index[place]]
        order = np.argsort(-values, axis=1, kind="stable")
        return values[row, order], index[row, order].astype(np.int32)

    @staticmethod
    def one_hot(index: np.ndarray, size: int) -> np.ndarray:
        """Returns float32 rows of the identity matrix of this size."""
        return np.eye(size, dtype=np.float32)[index]

    @staticmethod
    def scatter_update(array: np.ndarray, indices: np.ndarray, updates: np.ndarray) -> np.ndarray:
        """Returns a copy of (N, M) with new values (U,) at indices (U, 2)."""
        updated = array.copy()
        updated[tuple(indices.T)] = updates
        return updated

    @staticmethod
    def cond(condition: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
        """Calls one of two functions."""
        return true_fn() if condition else false_fn()

    @staticmethod
    def while_loop(condition: Callable[..., Any], body: Callable[..., Any], variables: tuple[Any, ...]) -> Any:
        """Calls the body repeatedly with its last result while the condition holds."""
        while condition(*variables):
            variables = body(*variables)
        return variables
