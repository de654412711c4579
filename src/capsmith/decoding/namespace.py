"""The array namespace ``xp`` of the searches: ``keras.ops`` on a device, and this class for NumPy.

Searches are written once, with functions that NumPy and ``keras.ops`` share, and those defined here.
"""

from collections.abc import Callable
from typing import Any

import numpy as np


class NumpyNamespace:
    """NumPy with the functions of ``keras.ops`` that it lacks."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

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
        """Returns values and indices (N, k) of the largest entries of (N, M), largest first."""
        index = np.argpartition(array, -k, axis=1)[:, -k:] if k < array.shape[1] else np.arange(k)[None]
        index = np.sort(np.broadcast_to(index, (len(array), k)), axis=1)  # ties keep their order
        order = np.argsort(-np.take_along_axis(array, index, axis=1), axis=1, kind="stable")
        index = np.take_along_axis(index, order, axis=1)
        return np.take_along_axis(array, index, axis=1), index.astype(np.int32)

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
