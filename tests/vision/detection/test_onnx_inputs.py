"""Images reach a network in the type, order and size that its file states."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from capsmith.core.errors import CheckpointError
from capsmith.vision.detection.load import load_detector
from tests.support.onnx_files import model_of, node, saved

KINDS = {
    "float": TensorProto.FLOAT,
    "half": TensorProto.FLOAT16,
    "double": TensorProto.DOUBLE,
    "whole": TensorProto.UINT8,
}


def _brightness(folder, kind, shape, channels, metadata=None):
    """Saves a detector of one object: its score is the brightest red, its right side the width of the input."""
    most = 255.0 if kind == "whole" else 1.0
    steps = [
        node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        node("Gather", ["pixels", "red"], ["reds"], axis=channels),
        node("ReduceMax", ["reds"], ["brightest"], keepdims=0),
        node("Div", ["brightest", "most"], ["share"]),
        node("Reshape", ["share", "one"], ["score"]),
        node("Shape", ["reds"], ["sides"]),
        node("Gather", ["sides", "last"], ["across"], axis=0),
        node("Cast", ["across"], ["width"], to=TensorProto.FLOAT),
        node("Reshape", ["width", "one"], ["right"]),
        node("Concat", ["corner", "right", "bottom", "score", "class"], ["row"], axis=0),
        node("Reshape", ["row", "rows"], ["output0"]),
    ]
    values = {
        "red": np.array(0), "most": np.array(most, np.float32), "one": np.array([1]), "last": np.array(-1),
        "corner": np.zeros(2, np.float32), "bottom": np.array([32], np.float32), "class": np.zeros(1, np.float32),
        "rows": np.array([1, 1, 6]),
    }  # fmt: skip
    graph = helper.make_graph(
        steps,
        "brightness",
        [helper.make_tensor_value_info("image", KINDS[kind], shape)],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 1, 6])],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    return saved(model_of(graph, {"names": "['light']", **(metadata or {})}), folder / "model.onnx")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("shape", "channels"), [((1, 3, 32, 64), 1), ((1, 32, 64, 3), 3)])
def test_types_and_orders(kind, shape, channels, tmp_path):
    image = np.zeros((32, 64, 3), np.uint8)
    image[5, 5] = [204, 10, 90]
    detector = load_detector(_brightness(tmp_path, kind, shape, channels))
    (light,) = detector.detect(image, threshold=0.1).objects
    assert light.label == "light" and light.score == pytest.approx(204 / 255, abs=1e-3)
    assert light.box == (0, 0, 64, 32)
    image[5, 5] = [1, 255, 255]  # in dark images too, pixels keep their scale
    assert detector.detect(image, threshold=0.003).objects[0].score == pytest.approx(1 / 255, abs=1e-4)


@pytest.mark.parametrize(
    ("metadata", "width"),
    [({"imgsz": "[32, 96]"}, 96), ({"imgsz": "64"}, 64), ({"imgsz_h": "32", "imgsz_w": "128"}, 128), ({}, 640),
     ({"imgsz": "__import__('os')"}, 640)],
)  # fmt: skip
def test_open_sizes(metadata, width, tmp_path):
    path = _brightness(tmp_path, "float", ("batch", 3, "height", "width"), 1, metadata)
    image = np.full((width, width, 3), 255, np.uint8)
    assert load_detector(path)._inputs.size[1] == width
    assert load_detector(path).detect(image).objects[0].score == 1


@pytest.mark.parametrize(
    "shape", [(1, 1, 32, 64), (1, 4, 32, 64), (3, 32, 64), (8, 3, 32, 64), (1, 3, 32, 64, 1), (1, 3, 0, 64)]
)
def test_inputs_that_are_no_image(shape, tmp_path):
    with pytest.raises(CheckpointError, match="input") as caught:
        load_detector(_brightness(tmp_path, "float", shape, 1))
    assert "\n" not in str(caught.value)
