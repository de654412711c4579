"""The grid of regions of which only the number is known."""

import pytest

from capsmith.vision.regions import grid_of


@pytest.mark.parametrize(
    ("regions", "size", "grid"),
    [
        (81, (260, 260), (9, 9)),
        (15, (48, 80), (3, 5)),
        (15, (80, 48), (5, 3)),
        (7, (10, 70), (1, 7)),
        (1, (9, 9), (1, 1)),
    ],
)
def test_cells_are_almost_squares(regions, size, grid):
    assert grid_of(regions, size) == grid
