"""Average precision on cases that are computed by hand, and against pycocotools where it is installed."""

import numpy as np
import pytest

from capsmith.metrics.detection import SUMMARIES, Found, Truth, average_precision

BOX = (0.0, 0.0, 50.0, 50.0)  # medium: 2,500 square pixels


def image(truth=(), found=()):
    """An image from (box, class[, crowd]) and (box, class, score) rows."""
    boxes = np.array([row[0] for row in truth], float).reshape(-1, 4)
    crowd = np.array([len(row) > 2 for row in truth], bool)
    kinds = np.array([row[1] for row in truth], int)
    detections = np.array([row[0] for row in found], float).reshape(-1, 4)
    classes, scores = (np.array([row[place] for row in found]) for place in (1, 2))
    return (
        Found(detections, classes.astype(int), scores.astype(float)),
        Truth(boxes, kinds, boxes[:, 2] * boxes[:, 3], crowd),
    )


def values(images, classes=("cat",)):
    return average_precision(images, classes).values


def test_perfect_detections():
    scores = values([image([(BOX, 0)], [(BOX, 0, 0.3)])])
    assert [scores[name] for name in ("ap", "ap50", "ap_medium", "ar1")] == pytest.approx([1] * 4)
    assert scores["ap_small"] is scores["ap_large"] is scores["ar_small"] is None


def test_an_overlap_of_four_fifths_is_right_at_seven_of_ten_thresholds():
    scores = values([image([(BOX, 0)], [((0, 0, 50, 40), 0, 0.9)])])
    assert scores["ap"] == pytest.approx(0.7) and [scores["ap50"], scores["ap75"]] == pytest.approx([1, 1])
    assert scores["ar100"] == pytest.approx(0.7)


def test_precision_is_read_at_101_levels_of_recall():
    far = (200.0, 0.0, 50.0, 50.0)
    other = (400.0, 0.0, 50.0, 50.0)
    # right, wrong, right: precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1; 51 levels up to 1/2, and 50 above it
    scores = values([image([(BOX, 0), (far, 0)], [(BOX, 0, 0.9), (other, 0, 0.8), (far, 0, 0.7)])])
    assert scores["ap50"] == pytest.approx((51 * 1 + 50 * 2 / 3) / 101)
    assert scores["ar1"] == pytest.approx(0.5) and scores["ar10"] == pytest.approx(1)


def test_what_is_missed_has_precision_0():
    scores = values([image([(BOX, 0)], [(BOX, 0, 0.9)]), image([(BOX, 0)])])
    assert scores["ap50"] == pytest.approx(51 / 101) and scores["ar100"] == pytest.approx(0.5)


def test_a_second_detection_of_an_object_is_wrong():
    # with two objects: right, wrong, right
    far = (200.0, 0.0, 50.0, 50.0)
    scores = values([image([(BOX, 0), (far, 0)], [(BOX, 0, 0.9), (BOX, 0, 0.8), (far, 0, 0.7)])])
    assert scores["ap50"] == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_detections_in_a_crowd_do_not_count():
    far = (300.0, 300.0, 40.0, 40.0)
    crowd = ((250.0, 250.0, 200.0, 200.0), 0, True)
    scores = average_precision([image([(BOX, 0), crowd], [(far, 0, 0.95), (BOX, 0, 0.9)])], ["cat"])
    assert scores.values["ap50"] == pytest.approx(1)
    assert scores.classes[0].objects == 1


def test_confidence_decides_between_images_and_ties_follow_the_order_of_the_images():
    wrong, right = image([], [(BOX, 0, 0.5)]), image([(BOX, 0)], [(BOX, 0, 0.5)])
    assert values([wrong, right])["ap50"] == pytest.approx(0.5)
    assert values([right, wrong])["ap50"] == pytest.approx(1)


def test_classes_without_an_object_are_left_out_of_the_mean():
    scores = average_precision([image([(BOX, 0)], [(BOX, 0, 0.9), (BOX, 1, 0.9)])], ["cat", "dog", "cow"])
    assert scores.values["ap"] == pytest.approx(1)
    assert [(one.name, one.objects, one.ap is None) for one in scores.classes] == [
        ("cat", 1, False),
        ("dog", 0, True),
        ("cow", 0, True),
    ]


def test_a_class_that_is_never_found_has_0():
    scores = average_precision([image([(BOX, 0), (BOX, 1)], [(BOX, 0, 0.9)])], ["cat", "dog"])
    assert scores.values["ap"] == pytest.approx(0.5) and scores.classes[1].ap == 0


def test_without_images_there_are_no_figures():
    scores = average_precision([], ["cat"])
    assert set(scores.values) == set(SUMMARIES) and set(scores.values.values()) == {None}


def test_the_signature_says_how_and_on_what():
    signature = average_precision([image(), image()], ["cat"], "threshold:0.01").signature
    assert {"coco_ap", "max:100", "threshold:0.01", "n:2"} <= set(signature.split("|"))


def test_random_cases_agree_with_pycocotools():
    pytest.importorskip("pycocotools", reason="the reference implementation is not installed")
    from benchmarks.detection_map import TOLERANCE, difference, random_case

    cases = (random_case(np.random.default_rng((1, number))) for number in range(40))
    assert max(difference(*case) for case in cases) <= TOLERANCE
