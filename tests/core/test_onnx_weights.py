"""Constants of ONNX files, read without the onnx package."""

import random
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from capsmith.core.errors import CheckpointError
from capsmith.core.onnx_weights import read_weights
from capsmith.deploy.export.onnx_weights import store_float16, store_int8
from tests.support.exports import Reference, graphs


@pytest.fixture
def step():
    return graphs(Reference())["step.onnx"]


def large_model():
    """Returns a model with one weight that is large enough to be quantised."""
    model = graphs(Reference())["start.onnx"]
    weight = np.random.default_rng(0).normal(size=(160, 128)).astype(np.float32)
    del model.graph.initializer[:]
    model.graph.initializer.append(numpy_helper.from_array(weight, "init"))
    return model, weight


def test_they_are_those_that_onnx_reads(step, tmp_path):
    found = read_weights(step.SerializeToString(), tmp_path / "step.onnx")
    expected = {
        constant.name: numpy_helper.to_array(constant)
        for constant in step.graph.initializer
        if constant.data_type == onnx.TensorProto.FLOAT
    }
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize(("store", "step"), [(store_float16, 2**-11 * 5), (store_int8, None)])
def test_stored_weights_are_restored(store, step, tmp_path):
    model, weight = large_model()
    found = read_weights(store(model).SerializeToString(), tmp_path / "a.onnx")
    assert found.keys() == {"init"}
    limit = step if step is not None else np.abs(weight).max(axis=0, keepdims=True) * 0.31
    assert (np.abs(found["init"] - weight) <= limit).all()
    assert np.linalg.norm(found["init"] - weight) <= 0.02 * np.linalg.norm(weight)


def test_packed_dimensions_are_read(tmp_path):
    weight = np.arange(600, dtype="<f4").reshape(300, 2)
    tensor = b"\x0a\x03\xac\x02\x02" + b"\x10\x01" + b"\x42\x01w" + b"\x4a" + varint(2400) + weight.tobytes()
    graph = b"\x2a" + varint(len(tensor)) + tensor
    content = b"\x3a" + varint(len(graph)) + graph
    np.testing.assert_array_equal(read_weights(content, tmp_path / "a.onnx")["w"], weight)


def varint(number):
    result = bytearray()
    while number > 127:
        result.append(number & 127 | 128)
        number >>= 7
    return bytes([*result, number])


def test_damaged_files_are_refused(step, tmp_path):
    content = step.SerializeToString()
    for damaged in (b"", content[: len(content) // 2], b"\xff" * 40):
        with pytest.raises(CheckpointError):
            read_weights(damaged, tmp_path / "a.onnx")
    constant = step.graph.initializer[0]
    constant.dims[0] += 1
    with pytest.raises(CheckpointError, match="fit its shape"):
        read_weights(step.SerializeToString(), tmp_path / "a.onnx")


def test_random_damage_gives_arrays_or_one_error(tmp_path):
    content, rng = graphs(Reference())["start.onnx"].SerializeToString(), random.Random(4)
    for _ in range(500):
        damaged = bytearray(content)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        try:
            read_weights(bytes(damaged), tmp_path / "a.onnx")
        except CheckpointError:
            pass


def test_int8_without_scale_is_refused(tmp_path):
    model, _ = large_model()
    stored = store_int8(model)
    scale = next(constant for constant in stored.graph.initializer if constant.name.endswith("/scale"))
    stored.graph.initializer.remove(scale)
    with pytest.raises(CheckpointError, match="scale"):
        read_weights(stored.SerializeToString(), tmp_path / "a.onnx")


def test_the_onnx_package_is_not_needed():
    code = "import sys, capsmith.models.exported_weights; print('onnx' in sys.modules, 'keras' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["False", "False"]
