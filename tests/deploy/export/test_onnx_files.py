"""ONNX files of every decoder: the same log probabilities as the Keras decoder, for several rows of several images."""

import numpy as np
import onnx
import pytest

from capsmith.deploy.export.graphs import member_graphs
from capsmith.deploy.export.onnx_files import open_onnx, write_onnx
from tests.support.captioners import DECODERS, built_captioner

IMAGES, ROWS = 3, 2  # rows of each image


@pytest.fixture(scope="module", params=[*DECODERS, "pooled"])
def member(request):
    if request.param == "pooled":
        return built_captioner("inject par", {"output": "pooled"}).members[0]
    return built_captioner(request.param).members[0]


@pytest.fixture(scope="module")
def graphs(member):
    return member_graphs(member)


@pytest.fixture(scope="module")
def files(graphs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx")
    for graph in graphs.all:
        write_onnx(graph, folder / f"{graph.name}.onnx")
    return folder


def test_the_encoder_takes_bytes_and_gives_the_features_of_keras(member, files):
    pixels = np.random.default_rng(0).integers(0, 256, (IMAGES, 48, 48, 3), np.uint8)
    (features,) = open_onnx(files / "encoder.onnx")(pixels)
    assert features.shape == (IMAGES, *member.feature_shape) and features.dtype == np.float32
    np.testing.assert_allclose(features, member.encode_with(0, pixels), rtol=1e-4, atol=1e-5)


def test_steps_give_the_log_probabilities_of_teacher_forcing(member, graphs, files):
    rng = np.random.default_rng(1)
    features = rng.random((IMAGES, *member.feature_shape), np.float32)
    tokens = rng.integers(2, len(member.vocabulary), (IMAGES * ROWS, 4)).astype(np.int32)
    logits = np.asarray(member.model.decoder(features, tokens))
    expected = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    start, step = open_onnx(files / "start.onnx"), open_onnx(files / "step.onnx")
    state = start(features)
    assert len(state) == graphs.n_state and all(len(tensor) == IMAGES for tensor in state)
    static, rows = state[: graphs.n_static], [np.repeat(tensor, ROWS, axis=0) for tensor in state[graphs.n_static :]]
    for position in range(tokens.shape[1]):
        log_probs, *rows = step(tokens[:, position], *static, *rows)
        np.testing.assert_allclose(log_probs, expected[:, position], atol=2e-5)


def test_names_and_dynamic_axes_are_those_of_the_export(graphs, files):
    model = onnx.load(files / "step.onnx").graph
    assert [value.name for value in model.input] == ["tokens", *(f"state_{n}" for n in range(graphs.n_state))]
    recurrent = range(graphs.n_static, graphs.n_state)
    assert [value.name for value in model.output] == ["log_probs", *(f"next_state_{n}" for n in recurrent)]
    axes = {value.name: value.type.tensor_type.shape.dim[0].dim_param for value in model.input}
    assert axes["tokens"] == "rows" and axes["state_0"] == "images" and axes[f"state_{recurrent[0]}"] == "rows"
    pixels = onnx.load(files / "encoder.onnx").graph.input[0].type.tensor_type
    assert pixels.elem_type == onnx.TensorProto.UINT8 and pixels.shape.dim[0].dim_param == "images"


def test_batch_normalisation_is_folded_into_convolutions(files):
    assert "BatchNormalization" not in {node.op_type for node in onnx.load(files / "encoder.onnx").graph.node}


def test_the_step_reads_tokens_without_detours(files):
    nodes = {node.op_type: node for node in onnx.load(files / "step.onnx").graph.node}
    assert nodes["Gather"].input[1] == "tokens" and "Less" not in nodes
