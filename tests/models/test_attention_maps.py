"""Attention maps of ensembles: members with different grids, and members without attention."""

import numpy as np
import pytest

from capsmith.models.attention_maps import _resized


def test_resizing_keeps_the_sum_of_each_map():
    rng = np.random.default_rng(0)
    maps = rng.random((2, 3, 4, 6)).astype(np.float32)
    for grid in ((2, 3), (8, 12), (3, 5), (4, 6)):
        resized = _resized(maps, grid)
        assert resized.shape == (2, 3, *grid)
        np.testing.assert_allclose(resized.sum((-2, -1)), maps.sum((-2, -1)), rtol=1e-5)
    np.testing.assert_allclose(_resized(maps, (2, 3))[0, 0, 0, 0], maps[0, 0, :2, :2].sum(), rtol=1e-6)
    np.testing.assert_array_equal(_resized(maps, (4, 6)), maps)


def test_resizing_up_spreads_evenly():
    assert _resized(np.float32([[[1.0, 3.0]]]), (1, 4))[0, 0] == pytest.approx([0.5, 0.5, 1.5, 1.5])
