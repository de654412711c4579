"""Vectors as 8-bit integers: a quarter of float32's memory traffic, with a bound on the error of each cosine.

M stored vectors · Q queries · d dimensions · B rows of a block.

A stored vector is x = m + s·c + e: a mean m of all, a scale s, integers c in -127…127, and a remainder e, whose length
is kept. A query is q = t·(a + b/128) + f with integers a and b in -64…64. Then q·x differs from
q·m + t·s·(a + b/128)·c by at most |q||e| + |f||s·c| (Cauchy–Schwarz). Products of integers are exact, so the bound
holds on any hardware: onnxruntime multiplies with the instructions that the processor has. Some (``vpmaddubsw`` of
AVX2) add two products in 16 bits: 2 · 255 · 64 still fits.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from capsmith.core.onnx_session import default_threads
from capsmith.retrieval.vectors.approximation import blocks
from capsmith.retrieval.vectors.checks import require_unit
from capsmith.retrieval.vectors.integer_products import IntegerProducts

_OFFSET = 128  # codes are stored unsigned
_LARGEST = 127
_DIGIT, _BASE = 64, 128
_SMALLEST = 1e-30  # scale
_TINY = 1e-18  # more than the length of a vector whose squares vanish in float32
_SAMPLED = 4096  # vectors whose mean is taken
_ROUNDING = 4e-6  # relative; more than the float32 operations on codes, scales and digits can add up to


class _Prepared(NamedTuple):
    """Queries as digits.

    Attributes:
        digits: (d, 2Q), int8: a of all queries, then b.
        base: q·m (Q, 1).
        sums: Of the digits, times the offset of the codes, (2Q,), int32.
        steps: t (Q, 1).
        norms: |q| (Q, 1).
        fixed: The part of the bound that is the same for all rows (Q, 1).
    """

    digits: np.ndarray
    base: np.ndarray
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
        self._mean = _mean(vectors)
        self.codes = np.empty(vectors.shape, np.uint8)
        self.scales, self.errors = np.empty(len(vectors), np.float32), np.empty(len(vectors), np.float32)

        def encode(bounds: tuple[int, int]) -> float:
            part = slice(*bounds)
            self.codes[part], self.scales[part], self.errors[part], norm = encoded(vectors[part], self._mean, bounds[0])
            return norm

        with ThreadPoolExecutor(default_threads()) as pool:
            longest = max(pool.map(encode, blocks(*vectors.shape)), default=0.0)
        self._norm = longest + float(np.linalg.norm(self._mean))
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
        base = (exact @ self._mean.astype(np.float64))[:, None].astype(np.float32)
        single = [values.astype(np.float32) for values in (steps, norms * 1.000001, fixed)]
        return _Prepared(digits, base, sums, *single)

    def scores(self, prepared: _Prepared, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """See ``Approximation.scores``."""
        products = self._multiply(self.codes[first:last], prepared.digits) - prepared.sums
        count = len(prepared.steps)
        scores = products[:, :count].T.astype(np.float32)
        scores += products[:, count:].T * np.float32(1 / _BASE)
        scores *= self.scales[first:last]
        scores *= prepared.steps
        scores += prepared.base
        margins = prepared.norms * self.errors[first:last]
        margins += prepared.fixed
        return scores, margins


def encoded(vectors: np.ndarray, mean: np.ndarray, first: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Returns codes, scales and error bounds of vectors, and the largest distance from the mean.

    Args:
        vectors: Some of the stored vectors (B, d).
        mean: m (d,).
        first: The row of the first, for the message if one is not finite.
    """
    values = vectors.astype(np.float32)
    require_unit(values, first)
    values -= mean
    scales = np.maximum(np.abs(values).max(axis=1, initial=0) / np.float32(_LARGEST), np.float32(_SMALLEST))
    codes = np.rint(values / scales[:, None])
    norm = 1.01 * _longest(values)
    values -= codes * scales[:, None]
    errors = np.sqrt(np.einsum("bd,bd->b", values, values)) * np.float32(1.0001) + np.float32(1e-6 * norm + _TINY)
    return (codes + _OFFSET).astype(np.uint8), scales, errors, norm


def _mean(vectors: np.ndarray) -> np.ndarray:
    """Returns the mean (d,) of some vectors: any point would do, and near this one their errors are small."""
    step = max(1, len(vectors) // _SAMPLED)
    mean = vectors[::step].astype(np.float32).mean(axis=0) if len(vectors) else np.zeros(vectors.shape[1], np.float32)
    finite: np.ndarray = np.where(np.isfinite(mean), mean, 0)
    return finite


def _longest(values: np.ndarray) -> float:
    return float(np.sqrt(np.einsum("bd,bd->b", values, values).max(initial=0)))
