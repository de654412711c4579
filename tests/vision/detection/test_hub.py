"""Detectors of keras-hub: saved as presets, loaded back, compared with keras-hub's own reading of the same outputs."""

import json
import shutil

import numpy as np
import pytest

pytest.importorskip("keras_hub")

from capsmith.core.errors import CapsmithError, CheckpointError, ConfigError  # noqa: E402
from capsmith.vision.detection.hub_preset import KIND, read_detector_preset  # noqa: E402
from capsmith.vision.detection.labels import COCO, COCO_IDS, labels_for  # noqa: E402
from capsmith.vision.detection.load import load_detector  # noqa: E402
from capsmith.vision.hub.presets import preset_handles  # noqa: E402
from tests.support.tiny_hub_detectors import CLASSES, SIDE, saved_preset, tiny_dfine, tiny_retinanet  # noqa: E402

IMAGE = np.random.default_rng(0).integers(0, 256, (60, 100, 3), np.uint8)


@pytest.fixture(scope="module")
def dfine(tmp_path_factory):
    task = tiny_dfine()
    return task, saved_preset(task, tmp_path_factory.mktemp("hub") / "dfine")


@pytest.fixture(scope="module")
def retinanet(tmp_path_factory):
    task = tiny_retinanet()
    return task, saved_preset(task, tmp_path_factory.mktemp("hub") / "retinanet")


def test_a_dfine_gives_its_queries(dfine):
    task, folder = dfine
    detector = load_detector(f"hub:{folder}", threshold=0.0)
    assert list(detector.labels) == list(COCO) and detector.name == f"hub:{folder}"
    inputs = task.preprocessor.image_converter(IMAGE[None].astype(np.float32))
    outputs = task(inputs, training=False)
    scores = 1 / (1 + np.exp(-np.asarray(outputs["logits"], np.float64)[0]))
    best = np.argsort(-scores, axis=None)[:5]
    objects = detector.detect(IMAGE).objects
    assert len(objects) == 5
    for found, place in zip(objects, best, strict=True):
        query, number = divmod(int(place), CLASSES)
        x, y, width, height = np.asarray(outputs["pred_boxes"])[0, query]
        expected = np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2]) * [100, 60, 100, 60]
        assert found.label == COCO[number] and found.score == pytest.approx(scores[query, number], abs=1e-6)
        np.testing.assert_allclose(found.box, np.clip(expected, 0, [100, 60, 100, 60]), atol=1e-3)


def test_a_retinanet_gives_the_boxes_that_keras_hub_decodes(retinanet):
    """keras-hub's own decoder, told to keep everything, gives the boxes of the padded square."""
    import keras_hub

    task, folder = retinanet
    detector = load_detector(f"hub:{folder}", threshold=0.0)
    assert list(detector.labels) == list(COCO)
    inputs = np.asarray(task.preprocessor.image_converter(IMAGE[None].astype(np.float32)))
    task.prediction_decoder = keras_hub.layers.NonMaxSuppression(
        "yxyx", from_logits=True, iou_threshold=1.0, confidence_threshold=0.0, max_detections=756
    )
    decoded = task.decode_predictions(task(inputs, training=False), inputs)
    square = np.asarray(decoded["boxes"])[0][:, [1, 0, 3, 2]] * 100 / SIDE - [0, 20, 0, 20]
    known = np.clip(square, 0, [100, 60, 100, 60])
    objects = detector.detect(IMAGE).objects
    assert len(objects) > 10
    for found in objects:
        assert np.abs(known - found.box).max(axis=1).min() < 1e-2


def test_unused_identifiers_of_coco_are_no_class():
    names = labels_for(91, None, "a model")
    assert [number for number, name in enumerate(names) if name] == list(COCO_IDS)
    assert names[90] == "toothbrush" and names[1] == "person"
    assert labels_for(90, None, "a model") == names[1:]


def test_the_fingerprint_is_that_of_the_files(dfine, tmp_path):
    first = read_detector_preset(dfine[1])
    copy = shutil.copytree(dfine[1], tmp_path / "copy")
    assert read_detector_preset(copy).fingerprint == first.fingerprint
    (copy / "preprocessor.json").write_text((copy / "preprocessor.json").read_text() + " ")
    assert read_detector_preset(copy).fingerprint != first.fingerprint


def test_names_of_presets_are_those_of_the_library():
    handles = preset_handles(KIND)
    assert {"dfine_nano_coco", "dfine_medium_obj2coco", "retinanet_resnet50_fpn_coco"} <= set(handles)
    assert len(handles) == 15 and all(handle.startswith("kaggle://keras/") for handle in handles.values())
    with pytest.raises(ConfigError, match="dfine_nano_coco"):
        load_detector("hub:dfine_nano_cocoo")


def test_no_network_is_one_line(monkeypatch):
    import kagglehub

    def offline(*args, **kwargs):
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(kagglehub, "model_download", offline)
    with pytest.raises(ConfigError, match="no route to host") as caught:
        load_detector("hub:dfine_nano_coco")
    assert "\n" not in str(caught.value)


def _changed(folder, file, change):
    path = folder / file
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def _foreign_class(task):
    task["config"]["prediction_decoder"] = {"module": "builtins", "class_name": "eval", "config": {"source": "1"}}


def _lambda(task):
    task["config"]["backbone"]["config"]["hidden_act"] = {"class_name": "__lambda__", "config": {"value": "AAAA"}}


def _registered(task):
    task["config"]["preprocessor"]["registered_name"] = "keras_hub>TextClassifier"


def _nested(task):
    for _ in range(50):
        task["config"] = {"a": task["config"]}


DAMAGES = {
    "a class of another module": ("task.json", _foreign_class),
    "a lambda": ("task.json", _lambda),
    "a registered name of another class": ("task.json", _registered),
    "a tree too deep": ("task.json", _nested),
    "a billion units": ("task.json", lambda task: task["config"]["backbone"]["config"].update(hidden_dim=10**9)),
    "infinite numbers": ("task.json", lambda task: task["config"].update(matcher_alpha=float("inf"))),
    "no classes": ("task.json", lambda task: task["config"].update(num_classes=0)),
    "another network": ("config.json", lambda config: config.update(class_name="BertBackbone")),
    "other sizes than the weights": (
        "task.json",
        lambda task: task["config"]["backbone"]["config"].update(encoder_ffn_dim=16),
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_preset_is_refused(dfine, damage, tmp_path):
    folder = shutil.copytree(dfine[1], tmp_path / "preset")
    _changed(folder, *DAMAGES[damage])
    with pytest.raises(CapsmithError) as caught:
        load_detector(f"hub:{folder}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("file", ["task.json", "model.weights.h5", "config.json"])
def test_a_preset_without_a_file_is_refused(dfine, file, tmp_path):
    folder = shutil.copytree(dfine[1], tmp_path / "preset")
    (folder / file).unlink()
    with pytest.raises(CheckpointError, match=file):
        load_detector(f"hub:{folder}")


def test_shards_outside_the_folder_are_refused(dfine, tmp_path):
    folder = shutil.copytree(dfine[1], tmp_path / "preset")
    (folder / "model.weights.json").write_text(json.dumps({"weight_map": {"a": "../../secret.weights.h5"}}))
    with pytest.raises(CheckpointError, match="outside"):
        load_detector(f"hub:{folder}")


def test_a_folder_that_does_not_exist(tmp_path):
    with pytest.raises(ConfigError, match="no such folder"):
        load_detector(f"hub:{tmp_path / 'none'}")
