"""The functions of the NumPy namespace are those of ``keras.ops``, ties included."""

import keras
import numpy as np
import pytest

from capsmith.decoding.namespace import NumpyNamespace

XP = NumpyNamespace()


@pytest.mark.parametrize("size", [1, 2, 10, 64, 65, 300, 5000])
@pytest.mark.parametrize("kind", ["distinct", "ties", "mostly impossible", "all equal"])
def test_top_k(size, kind):
    rng = np.random.default_rng(size)
    array = rng.normal(size=(4, size)).astype(np.float32)
    if kind == "ties":
        array = np.round(array)
    elif kind == "mostly impossible":
        array[rng.random(array.shape) < 0.99] = -np.inf
    elif kind == "all equal":
        array[:] = -1
    for k in {1, 2, 5, 10, size} - {k for k in (2, 5, 10) if k > size}:
        values, index = XP.top_k(array, k)
        order = np.lexsort((np.tile(np.arange(size), (4, 1)), -array), axis=1)[:, :k]
        np.testing.assert_array_equal(index, order)
        np.testing.assert_array_equal(values, np.take_along_axis(array, order, axis=1))
        assert index.dtype == np.int32 and values.dtype == np.float32
        expected = keras.ops.convert_to_numpy(keras.ops.top_k(array, k)[1])
        np.testing.assert_array_equal(index, expected)
