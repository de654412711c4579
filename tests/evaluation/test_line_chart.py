"""Axis ticks are round numbers, and lines pass through their points."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capsmith.evaluation.line_chart import Canvas, Line, Panel, integer_ticks, tick_label, ticks


@given(st.floats(-1e4, 1e4), st.floats(1e-4, 1e4))
def test_ticks_enclose_the_range_in_few_even_steps(low, span):
    found = ticks(low, low + span)
    assert found[0] <= low + 1e-6 * span and found[-1] >= low + span - 1e-6 * span
    assert 2 <= len(found) <= 8
    assert np.allclose(np.diff(found), found[1] - found[0])


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (1.3, 4.1, [1, 2, 3, 4, 5]),
        (0.021, 0.19, [0.0, 0.05, 0.1, 0.15, 0.2]),
    ],
)
def test_ticks_are_round(low, high, expected):
    assert ticks(low, high) == pytest.approx(expected)


def test_ticks_of_a_flat_line_span_a_range():
    for value in (0.0, 0.5, -3.0):
        found = ticks(value, value)
        assert found[0] < value < found[-1]


def test_tick_labels_have_the_necessary_decimals():
    assert [tick_label(v, [0.0, 0.05]) for v in (0.0, 0.05)] == ["0.00", "0.05"]
    assert [tick_label(v, [0.0, 2.5, 5.0]) for v in (0.0, 2.5, 5.0)] == ["0.0", "2.5", "5.0"]
    assert tick_label(20.0, [0.0, 20.0]) == "20"


def test_integer_ticks_are_few():
    assert integer_ticks(1, 5) == [1, 2, 3, 4, 5]
    assert integer_ticks(1, 100) == [1, 11, 21, 31, 41, 51, 61, 71, 81, 91]
    assert integer_ticks(3, 3) == [3]


def test_a_line_passes_through_its_points():
    red = (255, 0, 0)
    canvas = Canvas(400, 300)
    panel = Panel(canvas, (50, 50, 350, 250), (1, 3))
    panel.draw("score", [Line("x", [(1, 0.0), (2, 1.0), (3, 0.0)], red)], [])
    pixels = np.asarray(canvas.finished()).astype(int)
    rows, columns = np.nonzero((pixels[..., 0] > 200) & (pixels[..., 1] < 60))
    peak = columns[rows.argmin()]
    assert abs(peak - 200) <= 2 and abs(rows.min() - 50) <= 4
    assert abs(columns.min() - 64) <= 4 and abs(columns.max() - 336) <= 4
    assert abs(rows[columns < 70].max() - 250) <= 4
