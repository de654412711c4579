"""Vectors as 8-bit integers: a quarter of float32's memory traffic, with a bound on the error of each cosine.

M stored vectors · Q queries · d dimensions · B rows of a block.

A stored vector is x = s·c + e: a scale s, integers c in -127…127, and a remainder e, whose length is kept. A query is
q = t·(a + b/128) + f with integers a and b in -64…64. Then q·x differs from t·s·(a + b/128)·c by at most
|q||e| + |f||s·c| (Cauchy–Schwarz). Integers are exact, so the bound holds on any hardware: onnxruntime multiplies them
with the instructions that the processor has. Some (AVX2's ``vpmaddubsw``) add two products in 16 bits: 2 · 255 · 64
still fits.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from capsmith.core.onnx_session import default_threads
from capsmith.retrieval.vectors.approximation import blocks, require_finite
from capsmith.retrieval.vectors.integer_products import IntegerProducts

_OFFSET = 128  # codes are stored unsigned
_LARGEST = 127
_DIGIT, _BASE = 64, 128
_ROUNDING = 4e-6  # relative; more than the float32 operations on codes, scales and digits can add up to


class _Prepared(NamedTuple):
    """Queries as digits.

    Attributes:
        digits: (d, 2Q), int8: a of all queries, then b.
        sums: Of the digits, times the offset of the codes, (2Q,), int32.
        steps: t (Q, 1).
        norms: |q| (Q, 1).
        fixed: The part of the bound that is the same for all rows (Q, 1).
    """

    digits: np.ndarray
    sums: np.ndarray
    steps: np.ndarray
    norms: np.ndarray
    fixed: np.ndarray


class Sketch:
    """Implements ``Approximation`` with 8-bit integers.

    Args:
        vectors: Stored vectors (M, d), float16 or float32.

    Attributes:
        codes: c + 128, uint8 (M, d).
        scales: s, float32 (M,).
        errors: Upper bounds of |e|, float32 (M,).

    Raises:
        FeatureError: The vectors hold NaN or infinite values.
    """

    def __init__(self, vectors: np.ndarray) -> None:
        self.codes = np.empty(vectors.shape, np.uint8)
        self.scales, self.errors = np.empty(len(vectors), np.float32), np.empty(len(vectors), np.float32)

        def encode(bounds: tuple[int, int]) -> float:
            part = slice(*bounds)
            self.codes[part], self.scales[part], self.errors[part], norm = encoded(vectors[part], bounds[0])
            return norm

        with ThreadPoolExecutor(default_threads()) as pool:
            self._norm = max(pool.map(encode, blocks(*vectors.shape)), default=0.0)
        self._multiply = IntegerProducts()

    def prepare(self, queries: np.ndarray) -> _Prepared:
        """Returns the queries as digits, and the parts of their bounds."""
        exact = queries.astype(np.float64)
        steps = np.abs(exact).max(axis=1, keepdims=True, initial=0) / _DIGIT
        steps[steps == 0] = 1
        high = np.rint(exact / steps)
        low = np.rint((exact / steps - high) * _BASE)
        remainder = np.linalg.norm(exact - steps * (high + low / _BASE), axis=1, keepdims=True)
        norms = np.linalg.norm(exact, axis=1, keepdims=True)
        digits = np.ascontiguousarray(np.concatenate([high, low]).T.astype(np.int8))
        sums = digits.sum(axis=0, dtype=np.int32) * _OFFSET
        fixed = (remainder + _ROUNDING * norms) * self._norm
        single = [values.astype(np.float32) for values in (steps, norms * 1.000001, fixed)]
        return _Prepared(digits, sums, *single)

    def scores(self, prepared: _Prepared, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """See ``Approximation.scores``."""
        products = self._multiply(self.codes[first:last], prepared.digits) - prepared.sums
        count = len(prepared.steps)
        scores = products[:, :count].T.astype(np.float32)
        scores += products[:, count:].T * np.float32(1 / _BASE)
        scores *= self.scales[first:last]
        scores *= prepared.steps
        margins = prepared.norms * self.errors[first:last]
        margins += prepared.fixed
        return scores, margins


def encoded(vectors: np.ndarray, first: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Returns codes, scales and error bounds of vectors, and the length of the longest."""
    values = vectors.astype(np.float32)
    largest = np.abs(values).max(axis=1, initial=0)
    require_finite(largest, first)
    scales = (largest / np.float32(_LARGEST)).astype(np.float32)
    scales[scales == 0] = 1
    codes = np.rint(values / scales[:, None])
    norm = float(np.sqrt(np.einsum("md,md->m", values, values).max(initial=0)))
    values -= codes * scales[:, None]
    errors = np.sqrt(np.einsum("md,md->m", values, values)) * np.float32(1.0001) + np.float32(1e-6 * norm)
    return (codes + _OFFSET).astype(np.uint8), scales, errors, 1.01 * norm
