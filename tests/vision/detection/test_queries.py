"""Queries are read as transformers reads them, and by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from capsmith.vision.detection.queries import decode_queries
from tests.support.libreyolo_files import repair_torchvision

RANDOM = np.random.default_rng(0)
LOGITS, BOXES = RANDOM.normal(0, 3, (20, 7)), RANDOM.uniform(0.1, 0.9, (20, 4))


def test_a_query_may_hold_two_classes_with_sigmoids():
    logits = np.array([[2.0, 1.0, -9.0], [-9.0, -9.0, -9.0]])
    found = decode_queries(logits, np.array([[0.5, 0.4, 0.2, 0.4]] * 2), 0.5)
    np.testing.assert_allclose(found.scores, 1 / (1 + np.exp([-2.0, -1.0])))
    assert list(found.classes) == [0, 1]
    np.testing.assert_allclose(found.boxes, [[0.4, 0.2, 0.6, 0.6]] * 2)


def test_a_softmax_ends_in_no_object():
    logits = np.log([[0.6, 0.3, 0.1], [0.1, 0.1, 0.8]])
    found = decode_queries(logits, BOXES[:2], 0.05, softmax=True)
    np.testing.assert_allclose(found.scores, [0.6, 0.1])
    assert list(found.classes) == [0, 0]


def test_columns_without_a_name_win_nothing():
    logits = np.log([[0.5, 0.2, 0.3]])
    assert list(decode_queries(logits, BOXES[:1], 0.0, True, columns=[1]).classes) == [1]
    np.testing.assert_allclose(decode_queries(logits, BOXES[:1], 0.0, True, columns=[1]).scores, [0.2])


@pytest.mark.parametrize("damaged", [np.nan, np.inf, -np.inf])
def test_damaged_queries_are_left_out(damaged):
    logits, boxes = LOGITS.copy(), BOXES.copy()
    logits[3, 2], boxes[5, 0] = damaged, damaged
    whole = decode_queries(np.delete(LOGITS, [3, 5], 0), np.delete(BOXES, [3, 5], 0), 0.0)
    for part, expected in zip(decode_queries(logits, boxes, 0.0), whole, strict=True):
        np.testing.assert_array_equal(part, expected)


def test_no_queries_and_no_columns():
    assert len(decode_queries(np.zeros((0, 5)), np.zeros((0, 4)), 0.0).scores) == 0
    assert len(decode_queries(np.zeros((4, 0)), np.zeros((4, 4)), 0.0).scores) == 0


@pytest.mark.parametrize("softmax", [False, True])
@pytest.mark.parametrize("threshold", [0.05, 0.5, 0.9])
def test_as_transformers(softmax, threshold):
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    repair_torchvision()
    if softmax:
        from transformers.models.detr.image_processing_pil_detr import DetrImageProcessorPil as Processor
    else:
        from transformers.models.rt_detr.image_processing_pil_rt_detr import RTDetrImageProcessorPil as Processor
    outputs = SimpleNamespace(logits=torch.tensor(LOGITS)[None], pred_boxes=torch.tensor(BOXES)[None])
    expected = Processor().post_process_object_detection(outputs, threshold, target_sizes=[(1, 1)])[0]
    order = np.argsort(-expected["scores"].numpy(), kind="stable")
    found = decode_queries(LOGITS, BOXES, threshold, softmax)
    assert len(found.scores) == len(order) > 0
    np.testing.assert_allclose(found.scores, expected["scores"].numpy()[order], atol=1e-6)
    np.testing.assert_array_equal(found.classes, expected["labels"].numpy()[order])
    np.testing.assert_allclose(found.boxes, expected["boxes"].numpy()[order], atol=1e-6)
