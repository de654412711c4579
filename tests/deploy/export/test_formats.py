"""LiteRT and SavedModel: the graphs of every decoder, loaded again, give what the ONNX files give."""

import numpy as np
import pytest

from capsmith.core.errors import ConfigError
from capsmith.deploy.export.formats import FORMATS, default_output, find_format, require_quantisation
from capsmith.deploy.export.graphs import member_graphs
from capsmith.deploy.export.savedmodel import position
from tests.support.captioners import built_captioner

ROWS = 2


@pytest.mark.parametrize("name", ["litert", "savedmodel"])
@pytest.mark.parametrize("decoder", ["merge, tied", "inject init", "aoa"])
def test_steps_give_the_log_probabilities_of_keras(tmp_path, name, decoder):
    spec = FORMATS[name]
    member = built_captioner(decoder).members[0]
    graphs = member_graphs(member)
    write, opened = spec.load(spec.writer), spec.load(spec.opener)
    functions = {}
    for graph in graphs.all:
        path = tmp_path / f"{graph.name}{spec.suffix}"
        write(graph, path, None)
        functions[graph.name] = opened(path)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 48, 48, 3), np.uint8)
    (features,) = functions["encoder"](pixels)
    np.testing.assert_allclose(features, member.encode_with(0, pixels), rtol=1e-4, atol=1e-5)
    keras_state = member.model.decoder.start(features)
    state = functions["start"](features)
    tokens = np.full(ROWS, 3, np.int32)
    rows = [np.repeat(tensor, ROWS, axis=0) for tensor in state[graphs.n_static :]]
    log_probs, *after = functions["step"](tokens, *state[: graphs.n_static], *rows)
    keras_rows = [np.repeat(np.asarray(tensor), ROWS, axis=0) for tensor in keras_state[graphs.n_static :]]
    logits, keras_after = member.model.decoder.step(tokens, (*keras_state[: graphs.n_static], *keras_rows))
    logits = np.asarray(logits)
    expected = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    np.testing.assert_allclose(log_probs, expected, atol=2e-5)
    for found, known in zip(after, keras_after[graphs.n_static :], strict=True):
        np.testing.assert_allclose(found, np.asarray(known), atol=2e-5)


def test_names_of_tensors_sort_by_number():
    names = ["state_10", "state_2", "tokens", "state_0"]
    assert sorted(names, key=position) == ["tokens", "state_0", "state_2", "state_10"]
    assert sorted(["next_state_11", "next_state_3", "log_probs"], key=position)[0] == "log_probs"


def test_mistakes_name_what_exists():
    with pytest.raises(ConfigError, match="onnx"):
        find_format("onx")
    with pytest.raises(ConfigError, match="savedmodel"):
        require_quantisation(FORMATS["savedmodel"], "int8")
    with pytest.raises(ConfigError, match="float16"):
        require_quantisation(FORMATS["onnx"], "float")


def test_the_default_folder_lies_beside_the_run(tmp_path):
    assert default_output(tmp_path / "runs" / "mine", "onnx", "int8") == tmp_path / "runs" / "mine-onnx-int8"
    assert default_output(tmp_path / "both.yaml", "litert", None) == tmp_path / "both-litert"
