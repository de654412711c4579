"""Matching of detections with annotated boxes, on boxes whose overlaps are known."""

import numpy as np
import pytest

from capsmith.metrics.detection.matching import MAX_DETECTIONS, Found, Truth, match, overlaps

EVERYTHING = (0.0, 1e10)


def truth(*boxes, crowd=(), areas=None):
    array = np.array(boxes, float).reshape(-1, 4)
    flags = np.isin(np.arange(len(array)), crowd)
    sizes = array[:, 2] * array[:, 3] if areas is None else np.array(areas, float)
    return Truth(array, np.zeros(len(array), int), sizes, flags)


def found(*boxes, scores=None):
    array = np.array(boxes, float).reshape(-1, 4)
    scores = np.linspace(0.9, 0.1, len(array)) if scores is None else np.array(scores, float)
    return Found(array, np.zeros(len(array), int), scores)


def matched(detections, objects, areas=EVERYTHING):
    return match(detections, objects, overlaps(detections.boxes, objects.boxes, objects.crowd), areas)


@pytest.mark.parametrize(
    ("one", "other", "crowd", "expected"),
    [
        ((0, 0, 10, 10), (0, 0, 10, 10), False, 1.0),
        ((0, 0, 10, 10), (5, 0, 10, 10), False, 50 / 150),
        ((0, 0, 10, 10), (10, 0, 10, 10), False, 0.0),  # they share an edge
        ((0, 0, 10, 10), (20, 20, 5, 5), False, 0.0),
        ((0, 0, 10, 10), (2, 2, 5, 4), False, 20 / 100),
        ((0, 0, 10, 10), (5, 0, 100, 100), True, 50 / 100),
        ((3, 3, 0, 0), (3, 3, 0, 0), False, 0.0),
    ],
)
def test_overlaps(one, other, crowd, expected):
    assert overlaps(np.array([one], float), np.array([other], float), np.array([crowd]))[0, 0] == expected


def test_the_more_confident_detection_takes_the_object():
    result = matched(found((0, 0, 10, 8), (0, 0, 10, 10)), truth((0, 0, 10, 10)))
    assert result.right[:, 0].tolist() == [True] * 7 + [False] * 3  # overlap 0.8: right from 0.50 to 0.80
    assert result.right[:, 1].tolist() == [False] * 7 + [True] * 3  # where the first one is wrong, the object is free
    assert result.objects == 1 and not result.ignored.any()


def test_a_crowd_takes_any_number_of_detections_which_do_not_count():
    result = matched(found((0, 0, 10, 10), (20, 20, 10, 10), (200, 0, 5, 5)), truth((0, 0, 100, 100), crowd=[0]))
    assert result.objects == 0
    assert result.ignored[:, :2].all() and not result.ignored[:, 2].any() and not result.right[:, 2].any()


def test_an_object_takes_precedence_over_a_crowd():
    result = matched(found((0, 0, 10, 10)), truth((0, 0, 100, 100), (0, 0, 10, 12), crowd=[0]))
    low = slice(0, 7)  # the overlap with the object is 0.83, that with the crowd 1
    assert result.right[low, 0].all() and not result.ignored[low, 0].any()
    assert result.ignored[7:, 0].all()


def test_of_equal_overlaps_the_last_object_is_taken():
    objects = truth((0, 0, 10, 10), (4, 0, 10, 10))
    result = matched(found((2, 0, 10, 10), (0, 0, 10, 10), (4, 0, 10, 10)), objects)
    assert result.right[0].tolist() == [True, True, False]


def test_sizes_outside_the_range_are_set_aside():
    objects = truth((0, 0, 10, 10), (100, 100, 100, 100))
    detections = found((0, 0, 10, 10), (100, 100, 100, 100), (300, 0, 20, 20), (300, 100, 50, 50))
    result = matched(detections, objects, (0.0, 1024.0))
    assert result.objects == 1
    assert result.right[0].tolist() == [True, True, False, False]
    assert result.ignored[0].tolist() == [False, True, False, True]


def test_the_area_of_the_outline_decides_not_that_of_the_box():
    objects = truth((0, 0, 40, 40), areas=[900])
    assert matched(found((0, 0, 40, 40)), objects, (0.0, 1024.0)).objects == 1
    assert matched(found((0, 0, 40, 40)), objects, (1024.0, 9216.0)).objects == 0


def test_the_most_confident_of_a_class_are_kept_in_order():
    boxes = [(number, 0, 5, 5) for number in range(MAX_DETECTIONS + 20)]
    several = found(*boxes, scores=[0.5] * MAX_DETECTIONS + [0.9] * 20)
    best = several.best_of_class(0)
    assert best.boxes[:21, 0].tolist() == [*range(MAX_DETECTIONS, MAX_DETECTIONS + 20), 0]
    assert len(best.scores) == MAX_DETECTIONS and not len(several.best_of_class(1).scores)
