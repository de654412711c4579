"""Candidates become objects of an image: inside it, named, most confident first."""

import numpy as np

from capsmith.vision.detection.candidates import MOST, Candidates, corners, found


def test_boxes_are_cut_off_at_the_image():
    boxes = np.array([[-5, -5, 4, 4], [8, 8, 99, 99], [20, 0, 30, 5], [3, 3, 3, 9], [5, 5, 2, 9], [np.nan, 0, 9, 9]])
    detected = found(Candidates(boxes, np.linspace(0.1, 0.9, 6), np.zeros(6, int)), ["a"], 10, 12)
    assert [each.box for each in detected.objects] == [(8, 8, 10, 12), (0, 0, 4, 4)]
    assert (detected.width, detected.height) == (10, 12)


def test_classes_without_a_name_are_left_out():
    boxes = np.tile([1.0, 1, 5, 5], (4, 1))
    detected = found(Candidates(boxes, np.full(4, 0.5), np.array([0, 1, 2, -1])), ["a", None], 10, 10)
    assert [each.label for each in detected.objects] == ["a"]


def test_no_more_than_most_and_no_score_above_one():
    boxes = np.tile([1.0, 1, 5, 5], (MOST + 50, 1))
    detected = found(Candidates(boxes, np.full(MOST + 50, 1.5), np.zeros(MOST + 50, int)), ["a"], 10, 10)
    assert len(detected.objects) == MOST and detected.objects[0].score == 1.0


def test_corners():
    np.testing.assert_array_equal(corners(np.array([[5.0, 6, 4, 2]])), [[3, 5, 7, 7]])
