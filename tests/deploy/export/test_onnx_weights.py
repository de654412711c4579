"""Weights in fewer bytes: what is stored, and how far the results move."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from capsmith.deploy.export.onnx_files import open_onnx
from capsmith.deploy.export.onnx_simplify import fold_convolutions, simplify_decoder
from capsmith.deploy.export.onnx_weights import store_float16, store_int8


def graph(nodes, inputs, outputs, constants):
    values = (
        [helper.make_tensor_value_info(n, t, s) for n, t, s in inputs],
        [helper.make_tensor_value_info(n, t, s) for n, t, s in outputs],
    )
    tensors = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    model = helper.make_model(
        helper.make_graph(nodes, "g", *values, initializer=tensors), opset_imports=[helper.make_opsetid("", 15)]
    )
    model.ir_version = 8
    return model


@pytest.fixture
def product():
    """x (N, 128) times a matrix (128, 256) whose columns differ in size by a factor of a million, plus a bias."""
    rng = np.random.default_rng(0)
    matrix = (rng.normal(size=(128, 256)) * np.logspace(-3, 3, 256)).astype(np.float32)
    return graph(
        [helper.make_node("MatMul", ["x", "w"], ["xw"]), helper.make_node("Add", ["xw", "b"], ["y"])],
        [("x", TensorProto.FLOAT, ("n", 128))],
        [("y", TensorProto.FLOAT, ("n", 256))],
        {"w": matrix, "b": rng.normal(size=256).astype(np.float32)},
    )


def run(model, folder, *arrays):
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    onnx.checker.check_model(model)
    return open_onnx(path)(*arrays)[0]


@pytest.mark.parametrize(("store", "share", "error"), [(store_float16, 0.51, 1e-3), (store_int8, 0.28, 2e-2)])
def test_results_hardly_change_in_any_column(product, tmp_path, store, share, error):
    x = np.random.default_rng(1).normal(size=(50, 128)).astype(np.float32)
    expected, size = run(product, tmp_path, x), product.ByteSize()
    stored = store(product)
    found = run(stored, tmp_path, x)
    relative = np.linalg.norm(found - expected, axis=0) / np.linalg.norm(expected, axis=0)
    assert 0 < relative.max() < error
    assert stored.ByteSize() < share * size


def test_int8_rounds_large_weights_only(product):
    small = graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], group=32)],
        [("x", TensorProto.FLOAT, ("n", 32, 8, 8))],
        [("y", TensorProto.FLOAT, ("n", 32, 6, 6))],
        {"w": np.ones((32, 1, 3, 3), np.float32)},
    )
    types = [{c.name: c.data_type for c in store_int8(model).graph.initializer} for model in (product, small)]
    assert types[0]["w/int8"] == TensorProto.INT8 and types[0]["b/float16"] == TensorProto.FLOAT16
    assert types[1] == {"w/float16": TensorProto.FLOAT16}


def test_the_result_of_a_row_does_not_depend_on_the_others(product, tmp_path):
    x = np.random.default_rng(1).normal(size=(50, 128)).astype(np.float32)
    x[1:] *= 1000
    model = store_int8(product)
    np.testing.assert_allclose(run(model, tmp_path, x)[:1], run(model, tmp_path, x[:1]), rtol=1e-4, atol=1e-4)


def test_numbers_beyond_half_precision_stay_as_they_are(tmp_path):
    model = graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        [("x", TensorProto.FLOAT, ("n", 32))],
        [("y", TensorProto.FLOAT, ("n", 32))],
        {"w": np.full((32, 32), 1e6, np.float32)},
    )
    assert run(store_float16(model), tmp_path, np.ones((1, 32), np.float32)).max() == 3.2e7


def test_tied_word_vectors_are_stored_once(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(64, 16)).astype(np.float32)
    model = graph(
        [
            helper.make_node("Gather", ["vectors", "tokens"], ["x"]),
            helper.make_node("MatMul", ["x", "transposed"], ["y"]),
        ],
        [("tokens", TensorProto.INT32, ("n",))],
        [("y", TensorProto.FLOAT, ("n", 64))],
        {"vectors": vectors, "transposed": np.ascontiguousarray(vectors.T)},
    )
    simple = simplify_decoder(model)
    assert [constant.name for constant in simple.graph.initializer] == ["vectors"]
    found = run(simple, tmp_path, np.array([3, 5], np.int32))
    np.testing.assert_allclose(found, vectors[[3, 5]] @ vectors.T, rtol=1e-5, atol=1e-5)


def test_scales_and_offsets_of_depthwise_convolutions_are_folded(tmp_path):
    rng = np.random.default_rng(0)
    model = graph(
        [
            helper.make_node("Conv", ["x", "w"], ["c"], group=8),
            helper.make_node("Mul", ["c", "scale"], ["m"]),
            helper.make_node("Add", ["m", "offset"], ["y"]),
        ],
        [("x", TensorProto.FLOAT, ("n", 8, 6, 6))],
        [("y", TensorProto.FLOAT, ("n", 8, 4, 4))],
        {
            "w": rng.normal(size=(8, 1, 3, 3)).astype(np.float32),
            "scale": rng.random((1, 8, 1, 1), np.float32),
            "offset": rng.random((1, 8, 1, 1), np.float32),
        },
    )
    x = rng.random((2, 8, 6, 6), np.float32)
    expected = run(model, tmp_path, x)
    folded = fold_convolutions(model)
    assert [node.op_type for node in folded.graph.node] == ["Conv"]
    assert {entry.domain for entry in folded.opset_import} == {""}
    np.testing.assert_allclose(run(folded, tmp_path, x), expected, rtol=1e-5, atol=1e-6)
