"""The exact search against the full product in float64."""

import numpy as np
import pytest

from capsmith.core.errors import FeatureError
from capsmith.retrieval.vectors import ExactSearch
from capsmith.retrieval.vectors.approximation import FloatApproximation
from capsmith.retrieval.vectors.sketch import Sketch
from tests.support.vectors import full_product, queries_for, unit, worlds

STAGES = pytest.mark.parametrize("stage", [FloatApproximation, Sketch])
WORLDS = worlds()


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr("capsmith.retrieval.vectors.exact._BLOCK_NUMBERS", 0)  # 1,024 rows


@STAGES
@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("world", WORLDS)
def test_rows_and_cosines_are_those_of_the_full_product(world, dtype, stage):
    vectors = WORLDS[world].astype(dtype)
    queries = queries_for(vectors)
    search = ExactSearch(vectors, stage(vectors))
    half = np.arange(0, len(vectors), 2)[::-1]
    for k, rows in ((1, None), (10, None), (5000, None), (10, half), (40, half[:9])):
        for found, true in zip(search.nearest(queries, k, rows), full_product(vectors, queries, k, rows), strict=True):
            np.testing.assert_array_equal(found, true)


@STAGES
@pytest.mark.parametrize("world", [name for name in WORLDS if len(WORLDS[name])])
def test_no_error_exceeds_its_bound(world, stage):
    vectors = WORLDS[world].astype(np.float32)
    queries, first = queries_for(vectors), len(vectors) // 3
    approximation = stage(vectors)
    scores, margins = approximation.scores(approximation.prepare(queries), first, len(vectors))
    errors = np.abs(scores - queries.astype(np.float64) @ vectors[first:].T.astype(np.float64))
    assert scores.shape == (len(queries), len(vectors) - first) and (errors <= margins).all()
    assert margins.max() < 0.05  # and the bounds are of use


class TooSure(Sketch):
    """A first stage whose bounds are wrong."""

    def scores(self, prepared, first, last):
        scores, margins = super().scores(prepared, first, last)
        return scores, margins * 0.01


def test_a_wrong_bound_would_be_noticed():
    vectors = WORLDS["nearly equal"].astype(np.float32)
    queries = queries_for(vectors)
    found, _ = ExactSearch(vectors, TooSure(vectors)).nearest(queries, 10)
    assert (found != full_product(vectors, queries, 10)[0]).any()


def test_few_rows_are_rescored(monkeypatch):
    rescored = []
    nearest_of = ExactSearch.nearest.__globals__["nearest_of"]

    def counted(pool, vectors, rows, query, k):
        rescored.append(len(rows))
        return nearest_of(pool, vectors, rows, query, k)

    monkeypatch.setattr("capsmith.retrieval.vectors.exact.nearest_of", counted)
    vectors = unit(np.random.default_rng(3).normal(size=(20_000, 64))).astype(np.float16)
    ExactSearch(vectors, Sketch(vectors)).nearest(queries_for(vectors)[:-1], 10)  # all but zero
    assert max(rescored) < 100


def test_large_arrays_are_sketched_and_memory_maps_stay_on_disk(tmp_path, monkeypatch):
    monkeypatch.setattr("capsmith.retrieval.vectors.exact._SMALL", 1000)
    np.save(tmp_path / "v.npy", WORLDS["clustered"].astype(np.float16))
    vectors = np.load(tmp_path / "v.npy", mmap_mode="r")
    search = ExactSearch(vectors)
    assert isinstance(search._approximation, Sketch) and search.vectors is vectors and len(search) == len(vectors)
    assert search.nearest(vectors[7:8], 1)[0] == 7


@STAGES
def test_k_and_rows_may_be_none_at_all(stage):
    vectors = WORLDS["uniform"].astype(np.float32)
    search = ExactSearch(vectors, stage(vectors))
    for queries, k, rows in ((2, 0, None), (2, 5, np.empty(0, int)), (0, 5, None)):
        rows, cosines = search.nearest(vectors[:queries], k, rows)
        assert rows.shape == cosines.shape == (queries, 5 if queries == 0 else 0)
        assert rows.dtype == np.int64 and cosines.dtype == np.float32


@STAGES
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3.0])
def test_vectors_that_are_not_unit_vectors_are_refused(bad, stage):
    vectors = WORLDS["uniform"].astype(np.float16)
    vectors[411, 3] = bad
    with pytest.raises(FeatureError, match="411"):
        ExactSearch(vectors, stage(vectors))
    queries = WORLDS["uniform"][:5].astype(np.float32)
    queries[4, 0] = bad
    with pytest.raises(FeatureError, match="query vector 4"):
        ExactSearch(WORLDS["uniform"].astype(np.float16)).nearest(queries, 3)


def test_wrong_shapes_types_and_rows_are_refused():
    vectors = WORLDS["uniform"].astype(np.float32)
    for wrong in (vectors[0], vectors.astype(np.float64), vectors.astype(np.int8)):
        with pytest.raises(FeatureError):
            ExactSearch(wrong)
    search = ExactSearch(vectors)
    for wrong in (vectors[:1, :-1], vectors[0]):
        with pytest.raises(FeatureError):
            search.nearest(wrong, 3)
    for rows in ([-1], [len(vectors)], [0.5]):
        with pytest.raises(IndexError):
            search.nearest(vectors[:1], 3, np.array(rows))
