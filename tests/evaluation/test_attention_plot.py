"""Heat maps of attention on bright and dark images, and their scale."""

import numpy as np
import pytest
from PIL import Image

from capsmith.core.errors import CapsmithError
from capsmith.evaluation.attention_plot import attention_sheet, heat_map, scale_top

SIDE = 160


def peaked(row, column, grid=(4, 4), strength=6.0):
    weights = np.full(grid, 1.0)
    weights[row, column] = strength
    return weights / weights.sum()


def images():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
    return {
        "white": Image.new("RGB", (SIDE, SIDE), "white"),
        "black": Image.new("RGB", (SIDE, SIDE), "black"),
        "red": Image.new("RGB", (SIDE, SIDE), (255, 0, 0)),
        "bright noise": Image.fromarray(200 + noise // 5),
        "dark noise": Image.fromarray(noise // 8),
        "noise": Image.fromarray(noise),
    }


@pytest.mark.parametrize("name", images())
def test_attended_regions_are_warm_and_the_rest_is_grey(name):
    drawn = np.asarray(heat_map(images()[name], peaked(1, 2), 6.0)).astype(int)
    hot = drawn[50:70, 90:110].reshape(-1, 3).mean(axis=0)  # within cell (1, 2), which is 40 wide
    cold = drawn[130:150, 10:30].reshape(-1, 3)
    assert hot[0] - hot[2] > 60  # much more red than blue
    assert np.ptp(cold, axis=1).max() == 0  # no colour
    assert hot.sum() > cold.mean(axis=0).sum() + 100  # and brighter on any image


@pytest.mark.parametrize("name", images())
@pytest.mark.parametrize("cell", [(0, 0), (1, 2), (3, 3)])
def test_the_strongest_region_is_outlined(name, cell):
    row, column = cell
    drawn = np.asarray(heat_map(images()[name], peaked(row, column), 3.0)).astype(int)
    rows, columns = np.nonzero((drawn == 255).all(axis=-1))
    assert abs(rows.min() - row * 40) <= 3 and abs(rows.max() - (row + 1) * 40) <= 4
    assert abs(columns.min() - column * 40) <= 3 and abs(columns.max() - (column + 1) * 40) <= 4
    beside = drawn[rows.min() + 2, columns.min() + 6]  # the dark line inside the white one
    assert beside.sum() < 255


def test_a_uniform_map_stays_grey():
    drawn = np.asarray(heat_map(images()["noise"], np.full((4, 4), 1 / 16), 2.0)).astype(int)
    assert np.ptp(drawn[60:, 60:], axis=-1).max() == 0


def test_brightness_rises_with_the_weight():
    shares = np.linspace(0, 2, 8)[None]  # relative to uniform attention, from left to right
    drawn = np.asarray(heat_map(Image.new("RGB", (8 * 40, 40)), shares / shares.sum(), 2.0)).astype(float)
    light = (drawn[20] @ (0.299, 0.587, 0.114))[20::40]  # at the middle of each region
    assert (np.diff(light[4:]) > 8).all() and np.ptp(light[:4]) < 1


def test_the_scale_ends_at_the_strongest_region_of_any_word():
    assert scale_top(np.stack([peaked(0, 0), peaked(1, 1, strength=20.0)])) == pytest.approx(9.5, abs=0.5)
    assert scale_top(np.full((3, 4, 4), 1 / 16)) == 2.0  # a uniform map is not exaggerated
    assert scale_top(np.zeros((0, 4, 4))) == 2.0


def test_a_sheet_has_a_map_for_every_word(tmp_path):
    words = ("a", "dog", "runs")
    maps = np.stack([peaked(0, n) for n in range(3)])
    item = (images()["noise"], words, maps, (0.9, 0.5, 0.1))
    attention_sheet([item], tmp_path / "one.png")
    attention_sheet([(item[0], words[:1], maps[:1], (0.9,)), item], tmp_path / "two.png")
    one, two = (np.asarray(Image.open(tmp_path / f"{name}.png")).astype(int) for name in ("one", "two"))
    assert two.shape[0] > one.shape[0] * 1.5 and two.shape[1] == one.shape[1]
    blue = (np.abs(one - (0, 114, 178)) < 3).all(axis=-1)  # the bars of the probabilities
    lengths = sorted(blue.sum(axis=1))[-1]
    assert abs(lengths - round((0.9 + 0.5 + 0.1) * 200)) <= 3


def test_an_empty_caption_and_a_grid_that_is_not_square(tmp_path):
    attention_sheet([(images()["noise"], (), np.zeros((0, 4, 4)), ())], tmp_path / "none.png")
    wide = peaked(1, 5, (2, 7))
    attention_sheet([(images()["noise"], ("dog",), wide[None], (1.0,))], tmp_path / "wide.png")
    assert Image.open(tmp_path / "none.png").size[1] > 200 and Image.open(tmp_path / "wide.png").size[1] > 200


def test_a_file_ending_of_no_image_format_is_an_error(tmp_path):
    item = (images()["noise"], ("dog",), peaked(0, 0)[None], (1.0,))
    with pytest.raises(CapsmithError, match="image format"):
        attention_sheet([item], tmp_path / "sheet.txt")
    assert not list(tmp_path.iterdir())
