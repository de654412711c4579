"""ONNX files are opened only if they are what the manifest says, and hold nothing that reads or runs other files."""

import os
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from capsmith.core.errors import CheckpointError
from capsmith.core.onnx_graph import fault_of
from capsmith.core.onnx_session import TensorSpec, open_session
from tests.support.exports import FLOAT, SIDE, D, Reference, graphs, model, value

PIXELS = TensorSpec("pixels", "uint8", (None, SIDE, SIDE, 3))
FEATURES = TensorSpec("features", "float32", (None, D))


@pytest.fixture
def encoder():
    return graphs(Reference())["encoder.onnx"]


def opened(folder, graph, inputs=(PIXELS,), outputs=(FEATURES,)):
    path = folder / "encoder.onnx"
    path.write_bytes(graph if isinstance(graph, bytes) else graph.SerializeToString())
    return open_session(path, inputs, outputs, threads=1)


def test_a_file_computes(tmp_path, encoder):
    pixels = np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE, 3), np.uint8)
    (features,) = opened(tmp_path, encoder)({"pixels": pixels})
    np.testing.assert_allclose(features, Reference().encode(pixels), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * 64, b"not a model", b"ORTM" + bytes(64), b"\x08\x08", b"\xff" * 40, b"PK\3\4" + bytes(40)],
    ids=["empty", "zeros", "text", "ort", "no graph", "ones", "zip"],
)
def test_foreign_files_are_refused(tmp_path, content):
    with pytest.raises(CheckpointError, match=r"encoder\.onnx") as caught:
        opened(tmp_path, content)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.99])
def test_truncated_files_are_refused(tmp_path, encoder, share):
    content = encoder.SerializeToString()
    with pytest.raises(CheckpointError, match=r"encoder\.onnx"):
        opened(tmp_path, content[: int(len(content) * share)])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"nothing\.onnx"):
        open_session(tmp_path / "nothing.onnx", [PIXELS], [FEATURES])


def test_weights_in_another_file_are_refused(tmp_path, encoder):
    onnx.save_model(
        encoder, tmp_path / "external.onnx", save_as_external_data=True, location="weights", size_threshold=0
    )
    with pytest.raises(CheckpointError, match="another file"):
        opened(tmp_path, (tmp_path / "external.onnx").read_bytes())


def external_tensor():
    tensor = numpy_helper.from_array(np.zeros((1, D), np.float32), "w")
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    return tensor


def test_external_weights_in_attributes_and_inner_graphs_are_found():
    constant = helper.make_node("Constant", [], ["w"], value=external_tensor())
    assert "another file" in fault_of(model([constant], [], [], {}).SerializeToString())
    inner = helper.make_graph([], "inner", [], [value("w", FLOAT, (1, D))], [external_tensor()])
    branch = helper.make_node("If", ["c"], ["w"], then_branch=inner, else_branch=inner)
    assert "another file" in fault_of(model([branch], [], [], {}).SerializeToString())


def test_operators_of_others_are_refused(tmp_path, encoder):
    encoder.graph.node[0].domain = "evil.example"
    with pytest.raises(CheckpointError, match=r"evil\.example"):
        opened(tmp_path, encoder)


def test_unknown_operators_are_refused(tmp_path, encoder):
    encoder.graph.node[0].op_type = "PyOp"
    with pytest.raises(CheckpointError, match=r"encoder\.onnx"):
        opened(tmp_path, encoder)


def test_functions_and_deep_graphs_are_refused(encoder):
    encoder.functions.add(name="own")
    assert "operators of its own" in fault_of(encoder.SerializeToString())
    graph = helper.make_graph([], "g", [], [])
    for _ in range(30):
        graph = helper.make_graph([helper.make_node("If", ["c"], [], then_branch=graph)], "g", [], [])
    assert "deep" in fault_of(helper.make_model(graph).SerializeToString())


@pytest.mark.parametrize(
    "inputs, outputs",
    [
        ([TensorSpec("image", "uint8", (None, SIDE, SIDE, 3))], [FEATURES]),
        ([PIXELS], [TensorSpec("grid", "float32", (None, D))]),
        ([PIXELS, FEATURES], [FEATURES]),
        ([TensorSpec("pixels", "float32", (None, SIDE, SIDE, 3))], [FEATURES]),
        ([TensorSpec("pixels", "uint8", (None, SIDE + 1, SIDE, 3))], [FEATURES]),
        ([TensorSpec("pixels", "uint8", (None, SIDE, SIDE))], [FEATURES]),
        ([TensorSpec("pixels", "uint8", (1, SIDE, SIDE, 3)), FEATURES], [FEATURES]),
        ([PIXELS], [TensorSpec("features", "float32", (None, D + 1))]),
        ([PIXELS], [TensorSpec("features", "float32", (None, 2, D))]),
    ],
)
def test_other_inputs_and_outputs_are_refused(tmp_path, encoder, inputs, outputs):
    with pytest.raises(CheckpointError, match="manifest"):
        opened(tmp_path, encoder, inputs, outputs)


def test_weights_in_eight_bits_become_floats_when_the_file_is_opened(tmp_path):
    weights = np.random.default_rng(0).integers(-127, 128, (3, D)).astype(np.int8)
    node = helper.make_node
    small = model(
        [
            node("DequantizeLinear", ["w", "scale"], ["weights"]),
            node("Cast", ["pixels"], ["floats"], to=FLOAT),
            node("ReduceMean", ["floats"], ["mean"], axes=[1, 2], keepdims=0),
            node("MatMul", ["mean", "weights"], ["features"]),
        ],
        [value("pixels", onnx.TensorProto.UINT8, ("images", SIDE, SIDE, 3))],
        [value("features", FLOAT, ("images", D))],
        {"w": weights, "scale": np.float32(0.01).reshape(())},
    )
    pixels = np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE, 3), np.uint8)
    (features,) = opened(tmp_path, small)({"pixels": pixels})
    expected = pixels.astype(np.float32).mean(axis=(1, 2)) @ (weights * np.float32(0.01))
    np.testing.assert_allclose(features, expected, rtol=1e-4)


def test_no_telemetry(tmp_path, encoder):
    """onnxruntime writes an identifier of the device into the home directory, unless it is told not to."""
    (tmp_path / "encoder.onnx").write_bytes(encoder.SerializeToString())
    script = f"""
from pathlib import Path
from capsmith.core.onnx_session import TensorSpec, open_session
open_session(Path({str(tmp_path / "encoder.onnx")!r}), [{PIXELS!r}], [{FEATURES!r}])
"""
    home = tmp_path / "home"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)}
    for name in ("XDG_CACHE_HOME", "ORT_DISABLE_TELEMETRY"):
        environment.pop(name, None)
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)
    assert list(home.rglob("*")) == []
