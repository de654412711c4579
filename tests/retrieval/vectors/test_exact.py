"""The exact search against a product with all vectors in float64."""

import numpy as np
import pytest

from capsmith.retrieval.vectors import ExactSearch
from capsmith.retrieval.vectors.approximation import FloatApproximation
from capsmith.retrieval.vectors.sketch import Sketch

STAGES = pytest.mark.parametrize("stage", [FloatApproximation, Sketch])


def unit(vectors):
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def worlds():
    """Vectors of many kinds, (M, 24)."""
    rng = np.random.default_rng(7)
    centres = rng.normal(size=(12, 24))
    tight = centres[rng.integers(12, size=700)] + rng.normal(size=(700, 24)) * 1e-3
    spiky = rng.normal(size=(500, 24)) ** 7
    grid = rng.integers(-1, 2, size=(900, 24)).astype(float)  # many equal cosines
    return {
        "uniform": rng.normal(size=(900, 24)),
        "clustered": centres[rng.integers(12, size=900)] + rng.normal(size=(900, 24)) * 0.2,
        "nearly equal": tight,
        "spiky": spiky,
        "ties": grid,
        "equal": np.repeat(rng.normal(size=(3, 24)), 300, axis=0),
        "positive, few active": np.maximum(rng.normal(size=(800, 24)) - 1.5, 0),  # zero vectors among them
        "one": rng.normal(size=(1, 24)),
        "none": np.empty((0, 24)),
    }


def expected(vectors, queries, k, rows=None):
    rows = np.arange(len(vectors)) if rows is None else np.unique(rows)
    cosines = (queries.astype(np.float64)[:, None] * vectors[rows].astype(np.float64)).sum(axis=-1).astype(np.float32)
    order = np.array([np.lexsort((rows, -row)) for row in cosines]).reshape(len(queries), -1)[:, :k]
    return rows[order], np.take_along_axis(cosines, order, axis=1)


@STAGES
@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("world", worlds())
def test_rows_and_cosines_are_those_of_the_full_product(monkeypatch, world, dtype, stage):
    monkeypatch.setattr("capsmith.retrieval.vectors.exact._BLOCK_NUMBERS", 0)  # blocks as small as possible
    vectors = unit(worlds()[world]).astype(dtype)
    rng = np.random.default_rng(1)
    queries = np.concatenate([unit(rng.normal(size=(17, 24))), vectors[:3].astype(float), np.zeros((1, 24))])
    queries = queries.astype(np.float32)
    search = ExactSearch(vectors, stage(vectors))
    subset = rng.integers(len(vectors), size=len(vectors) // 2) if len(vectors) else np.empty(0, int)
    for k in (1, 10, 2000):
        for rows in (None, subset, subset[:9]):
            for found, true in zip(search.nearest(queries, k, rows), expected(vectors, queries, k, rows), strict=True):
                np.testing.assert_array_equal(found, true)
