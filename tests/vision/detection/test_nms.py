"""Suppression keeps what its definition keeps."""

import numpy as np
import pytest

from benchmarks.detection_nms import disagreements
from capsmith.vision.detection.nms import suppress

BOXES = np.array([[0, 0, 10, 10], [0, 0, 10, 8], [0, 0, 10, 5], [20, 20, 30, 30], [20, 20, 20, 30]], float)
SCORES = np.array([0.5, 0.9, 0.7, 0.9, 0.1])


def test_a_better_box_of_its_class_suppresses():
    assert suppress(BOXES, SCORES, np.zeros(5, int), 0.45).tolist() == [1, 3, 4]  # overlaps .8 and .625
    assert suppress(BOXES, SCORES, np.zeros(5, int), 0.7).tolist() == [1, 3, 2, 4]  # .8, not .625


def test_boxes_of_other_classes_stay():
    assert suppress(BOXES, SCORES, np.array([0, 1, 2, 0, 0]), 0.1).tolist() == [1, 3, 2, 0, 4]


def test_an_overlap_that_equals_the_limit_stays():
    assert suppress(BOXES[[0, 2]], SCORES[[0, 2]], np.zeros(2, int), 0.5).tolist() == [1, 0]


def test_the_first_of_equal_ones_stays_and_the_number_is_limited():
    boxes = np.repeat(BOXES[:1], 3, axis=0)
    assert suppress(boxes, np.full(3, 0.5), np.zeros(3, int), 0.5).tolist() == [0]
    assert suppress(boxes, np.array([0.1, 0.3, 0.2]), np.arange(3), 0.5, keep=2).tolist() == [1, 2]
    assert suppress(np.zeros((0, 4)), np.zeros(0), np.zeros(0), 0.5).tolist() == []


def test_as_pycocotools():
    pytest.importorskip("pycocotools")
    assert disagreements(100) == 0
