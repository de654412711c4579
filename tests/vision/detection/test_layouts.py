"""Every known layout shows the same two objects, wherever they lie in its input."""

import numpy as np
import pytest

from capsmith.core.errors import CheckpointError, ConfigError
from capsmith.vision.detection.labels import COCO
from capsmith.vision.detection.load import load_detector
from tests.support.detector_layouts import HEIGHT, LAYOUTS, NAMES, OBJECTS, WIDTH, _table, _v8, centred
from tests.support.onnx_files import constant_model, saved

IMAGE = np.zeros((HEIGHT, WIDTH, 3), np.uint8)


@pytest.mark.parametrize("kind", LAYOUTS)
def test_the_objects_of_a_layout(kind, tmp_path):
    name, model = LAYOUTS[kind]
    detector = load_detector(saved(model(), tmp_path / "detector.onnx"))
    detected = detector.detect(IMAGE)
    assert detector.layout.name == name and (detected.width, detected.height) == (WIDTH, HEIGHT)
    names = NAMES if detector.labels[0] == NAMES[0] else COCO
    assert [found.label for found in detected.objects] == [names[number] for number, _, _ in OBJECTS]
    for found, (_, score, box) in zip(detected.objects, OBJECTS, strict=True):
        assert found.score == pytest.approx(score, abs=2e-3)
        np.testing.assert_allclose(found.box, box, atol=1)


def test_a_threshold_and_a_users_names(tmp_path):
    path = saved(LAYOUTS["YOLOv8, v9, v11"][1](), tmp_path / "detector.onnx")
    detector = load_detector(path, threshold=0.7, labels=["a", "b", "c"])
    assert [found.label for found in detector.detect(IMAGE).objects] == ["b"]
    assert len(detector.detect(IMAGE, threshold=0.3).objects) == 2
    assert detector.fingerprint != load_detector(path).fingerprint
    assert detector.fingerprint == load_detector(path, labels=["a", "b", "c"]).fingerprint
    (tmp_path / "names.txt").write_text("x\ny\nz\n")
    assert load_detector(path, labels=tmp_path / "names.txt").labels == ["x", "y", "z"]


@pytest.mark.parametrize("labels", [["one"], [f"c{i}" for i in range(50)]])
def test_another_number_of_names_is_refused(labels, tmp_path):
    path = saved(LAYOUTS["YOLOv8, v9, v11"][1](), tmp_path / "detector.onnx")
    with pytest.raises(ConfigError, match=f"3 classes, and was given names for {len(labels)}:"):
        load_detector(path, labels=labels)


def test_names_that_are_not_stated(tmp_path):
    path = saved(_v8(_table(126, 7, centred).T), tmp_path / "detector.onnx")
    with pytest.raises(ConfigError, match="--labels"):
        load_detector(path)
    assert len(load_detector(path, labels=NAMES).detect(IMAGE).objects) == 2


def test_three_classes_beside_four_sides(tmp_path):
    """RF-DETR for three classes gives four logits: as many as a box has numbers."""
    logits, boxes = np.full((1, 9, 4), -8, np.float32), np.full((1, 9, 4), 0.5, np.float32)
    logits[0, 2, 1] = 3
    model = constant_model({"dets": boxes, "labels": logits}, metadata={"names": "['a', 'b', 'c']"})
    (found,) = load_detector(saved(model, tmp_path / "detector.onnx")).detect(IMAGE).objects
    assert found.label == "b"
    np.testing.assert_allclose(found.box, (WIDTH / 4, HEIGHT / 4, WIDTH * 3 / 4, HEIGHT * 3 / 4))


def test_outputs_of_no_detector(tmp_path):
    with pytest.raises(CheckpointError, match=r"\[1, 1000\]"):
        load_detector(saved(constant_model({"logits": np.zeros((1, 1000), np.float32)}), tmp_path / "m.onnx"))


@pytest.mark.parametrize("model", ["nothing", "hup:dfine_nano_coco", ""])
def test_a_name_that_is_neither_file_nor_preset(model):
    with pytest.raises(ConfigError, match="hub:"):
        load_detector(model)
