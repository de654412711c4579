"""Joined encoders: features of the same image and the same region are concatenated."""

import numpy as np
import pytest

from capsmith.core.errors import FeatureError
from capsmith.vision.joined import join_features, joined_shape, resampling_matrix
from capsmith.vision.joined_store import JoinedStore
from capsmith.vision.store import FeatureStore


def test_two_by_two_from_four_by_four_is_the_mean_of_quarters():
    grid = np.arange(16, dtype=np.float32).reshape(4, 4)
    expected = grid.reshape(2, 2, 2, 2).mean(axis=(1, 3)).ravel()
    np.testing.assert_allclose(resampling_matrix(16, 4) @ grid.ravel(), expected, rtol=1e-6)


def test_three_from_two_by_hand():
    """The middle third is half from each side."""
    line = np.array([[1, 0], [0.5, 0.5], [0, 1]])
    np.testing.assert_allclose(resampling_matrix(4, 9), np.kron(line, line), atol=1e-6)


@pytest.mark.parametrize(("given", "wanted"), [(49, 64), (64, 49), (100, 64), (64, 64), (1, 9)])
def test_resampling_preserves_constants(given, wanted):
    matrix = resampling_matrix(given, wanted)
    assert matrix.shape == (wanted, given) and (matrix >= 0).all()
    np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(matrix.sum(axis=0), wanted / given, rtol=1e-5)  # every region has equal weight


def test_joined_features():
    rng = np.random.default_rng(0)
    one, two = rng.normal(size=(3, 4, 2)).astype(np.float16), rng.normal(size=(3, 9, 5)).astype(np.float16)
    both = join_features([one, two])
    assert both.shape == (3, 4, 7) == (3, *joined_shape([(4, 2), (9, 5)])) and both.dtype == np.float16
    np.testing.assert_array_equal(both[..., :2], one)
    np.testing.assert_allclose(both[..., 2:], np.stack([resampling_matrix(9, 4) @ p for p in two]), atol=2e-3)
    vectors = [rng.normal(size=(3, n)).astype(np.float32) for n in (2, 3)]
    np.testing.assert_array_equal(join_features(vectors), np.concatenate(vectors, 1))
    assert join_features([one]) is one


@pytest.mark.parametrize("shapes", [[(4, 2), (5, 2)], [(6, 2), (4, 2)], [(4, 2), (8,)]])
def test_incompatible_shapes_are_refused(shapes):
    with pytest.raises(FeatureError, match="cannot be joined"):
        joined_shape(shapes)


def test_stores_are_joined_by_image_not_by_row(tmp_path):
    """Two stores in different orders, each without an image that the other has."""
    first = {name: np.full((4, 2), n, np.float16) for n, name in enumerate("abcd")}
    second = {name: np.full((4, 3), 10 * n, np.float16) for n, name in enumerate("dcbe")}
    stores = [
        FeatureStore.create(tmp_path / str(n), list(some), np.stack(list(some.values())))
        for n, some in enumerate((first, second))
    ]
    both = JoinedStore(stores)
    assert both.ids == ["b", "c", "d"] and both.shape == (4, 5) and len(both) == 3
    assert "a" not in both and "e" not in both and "c" in both
    found = both.gather(both.rows(["d", "b", "d"]))
    for row, name in zip(found, "dbd", strict=True):
        np.testing.assert_array_equal(row, np.concatenate([first[name], second[name]], 1))
    with pytest.raises(FeatureError, match="no features"):
        both.rows(["b", "a"])
