"""Decoders' weights are read back from the files of their export."""

import copy
import json

import keras
import numpy as np
import pytest

from capsmith.core.errors import CheckpointError
from capsmith.core.onnx_weights import read_weights
from capsmith.data.text.vocabulary import Vocabulary
from capsmith.deploy.export import manifest
from capsmith.deploy.export.graphs import member_graphs
from capsmith.deploy.export.onnx_files import write_onnx
from capsmith.deploy.export.weight_map import find_weight, write_weight_map
from capsmith.models.caption_model import build_model
from capsmith.models.export_folder import ExportFolder
from capsmith.models.exported_weights import decoder_weights
from capsmith.models.keras_member import KerasMember
from capsmith.vision.encoder import build_encoder
from tests.support import toy
from tests.support.exports import write_manifest

WORDS = Vocabulary.build([[f"word{number}" for number in range(300)]])
DECODERS = {
    "inject": {"type": "inject", "units": 64},
    "inject_gru": {"type": "inject", "units": 16, "cell": "gru"},
    "merge": {"type": "merge", "units": 16},
    "attention": {"type": "attention", "units": 48},
    "aoa": {
        "type": "aoa",
        "units": 64,
        "attention": "multihead",
        "attention_units": 64,
        "heads": 2,
        "refine": True,
        "input_feeding": False,
        "tie_embeddings": True,
        "standardise": True,
    },
}


def member_of(name):
    grid = name in ("attention", "aoa")
    config = toy.config_of(
        toy.Path("nowhere"),
        decoder={"embedding": {"size": 64}, **DECODERS[name]},
        encoder={"output": "grid" if grid else "pooled"},
    )
    keras.utils.set_random_seed(1)
    encoder = build_encoder(config.encoder)
    model = build_model(config, WORDS, encoder.feature_shape, encoder)
    rng = np.random.default_rng(2)
    for weight in model.decoder.weights:  # initial biases are all zero, and could be confused
        weight.assign(rng.normal(0.5, 0.3, weight.shape))
    return KerasMember(config, WORDS, model, encoder.feature_shape, encoder)


def write(folder, member, quantise):
    folder.mkdir(parents=True)
    graphs = member_graphs(member)
    for graph in (graphs.start, graphs.step):
        write_onnx(graph, folder / f"{graph.name}.onnx", quantise)
    (folder / "encoder.onnx").write_bytes(b"not read here")
    WORDS.save(folder / "vocabulary.json")
    entry = manifest.member_entry(member, graphs, ".", ".onnx")
    entry["weights"] = write_weight_map(folder, member.model.decoder, quantise)
    write_manifest(folder, content_of(entry, quantise))
    return ExportFolder(folder)


def content_of(entry, quantise=None):
    return {
        "format": 1,
        "capsmith": "0.1.0",
        "kind": "onnx",
        "quantise": quantise,
        "files": {},
        "text": {},
        "decoding": {},
        "members": [entry],
    }


@pytest.fixture(scope="module", params=DECODERS)
def exact(request, tmp_path_factory):
    member = member_of(request.param)
    return member, write(tmp_path_factory.mktemp(request.param) / "export", member, None)


def test_float32_weights_are_equal(exact):
    member, folder = exact
    found = decoder_weights(folder)
    weights = member.model.decoder.weights
    assert len(found) == len(weights)
    entries = folder.manifest.members[0].weights
    for weight, value, entry in zip(weights, found, entries, strict=True):
        expected = keras.ops.convert_to_numpy(weight)
        if "more" in entry:
            np.testing.assert_allclose(value, expected, rtol=1e-3, err_msg=weight.path)
        else:
            np.testing.assert_array_equal(value, expected, err_msg=weight.path)
    in_graphs = sum(np.prod(entry["shape"]) for entry in entries if "more" not in entry)
    assert in_graphs > 0.9 * sum(np.prod(entry["shape"]) for entry in entries)


@pytest.mark.parametrize("quantise", ["int8", "float16"])
def test_quantised_weights_are_equal_within_a_step(quantise, tmp_path):
    member = member_of("aoa")
    folder = write(tmp_path / "export", member, quantise)
    constants = read_weights((folder.path / "step.onnx").read_bytes(), folder.path / "step.onnx")
    assert constants and all(array.dtype == np.float32 for array in constants.values())
    for weight, value in zip(member.model.decoder.weights, decoder_weights(folder), strict=True):
        expected = keras.ops.convert_to_numpy(weight)
        largest = np.abs(expected).max()
        rounding = 0.35 * largest if quantise == "int8" else 1e-3 * largest  # the largest weights may be clipped
        assert np.abs(value - expected).max() <= rounding, weight.path
        assert np.linalg.norm(value - expected) <= 0.02 * np.linalg.norm(expected), weight.path


def test_a_wrong_map_gives_other_weights(exact):
    member, folder = exact
    content = json.loads((folder.path / "manifest.json").read_text())
    entries = content["members"][0]["weights"]
    square = [entry for entry in entries if "parts" in entry and len(entry["shape"]) == 2]
    square[0]["parts"][0] |= {"transposed": not square[0]["parts"][0]["transposed"]}
    moved = folder.path.with_name("wrong")
    moved.mkdir(exist_ok=True)
    for path in folder.path.iterdir():
        (moved / path.name).write_bytes(path.read_bytes())
    (moved / "manifest.json").write_text(json.dumps(content))
    try:
        found = decoder_weights(ExportFolder(moved))
    except CheckpointError:
        return  # another shape
    weights = [keras.ops.convert_to_numpy(weight) for weight in member.model.decoder.weights]
    assert not all(np.array_equal(value, weight) for value, weight in zip(found, weights, strict=True))


def test_weights_in_no_file_are_stored_beside_them(tmp_path):
    member = member_of("merge")
    folder = write(tmp_path / "export", member, None)

    class Decoder:
        weights = [*member.model.decoder.weights, keras.Variable(np.arange(7, dtype=np.float32), name="folded")]

    entries = write_weight_map(folder.path, Decoder, None)
    assert "more" in entries[-1] and (folder.path / "weights.npz").is_file()
    content = json.loads((folder.path / "manifest.json").read_text())
    content["members"][0]["weights"] = entries
    write_manifest(folder.path, content | {"files": {}})
    np.testing.assert_array_equal(decoder_weights(ExportFolder(folder.path))[-1], np.arange(7))
    (folder.path / "weights.npz").unlink()
    with pytest.raises(CheckpointError, match="weights.npz"):
        decoder_weights(ExportFolder(folder.path))


def test_pieces_are_found_in_their_order():
    rng = np.random.default_rng(0)
    value = rng.normal(size=(5, 4)).astype(np.float32)
    constants = {("step", "b"): value[3:].T, ("step", "a"): value[:3], ("start", "other"): value[::-1][:3]}
    found = find_weight(value, constants, None)
    assert [(part["name"], part["transposed"]) for part in found["parts"]] == [("a", False), ("b", True)]
    assert find_weight(value + 1e-6, constants, None) is None
    columns = find_weight(value, {("step", "l"): value[:, :1], ("step", "r"): value[:, 1:]}, None)
    assert columns["axis"] == 1 and [part["name"] for part in columns["parts"]] == ["l", "r"]


WRONG = {
    "no list": lambda entries: {"a": 1},
    "empty list": lambda entries: [],
    "no shape": lambda entries: [{"parts": []}],
    "negative shape": lambda entries: [{**entries[0], "shape": [-1, 2]}],
    "another shape": lambda entries: [{**entries[0], "shape": [1]}],
    "huge shape": lambda entries: [{**entries[0], "shape": [10**6, 10**6]}],
    "no parts": lambda entries: [{**entries[0], "parts": []}],
    "an axis that is not there": lambda entries: [{**entries[0], "axis": 7}],
    "a graph that is not there": lambda entries: [{**entries[0], "parts": [{"graph": "../x", "name": "a"}]}],
    "a constant that is not there": lambda entries: [{**entries[0], "parts": [{"graph": "step", "name": "a"}]}],
    "a part that is no object": lambda entries: [{**entries[0], "parts": [3]}],
    "a name that is no text": lambda entries: [{**entries[0], "parts": [{"graph": "step", "name": 3}]}],
    "a key of no file": lambda entries: [{"shape": [1], "more": "weight_0"}],
    "a key that is no text": lambda entries: [{"shape": [1], "more": ["weight_0"]}],
    "pieces that do not fit": lambda entries: [{**entries[0], "parts": [e["parts"][0] for e in entries[:3]]}],
}


@pytest.fixture(scope="module")
def merge(tmp_path_factory):
    return write(tmp_path_factory.mktemp("merge") / "export", member_of("merge"), None)


@pytest.mark.parametrize("kind", WRONG)
def test_a_damaged_map_is_refused(kind, merge, monkeypatch):
    (member,) = merge.manifest.members
    entries = WRONG[kind](copy.deepcopy(member.weights))
    changed = ExportFolder(merge.path)
    changed.__dict__["manifest"] = type(merge.manifest)(
        **{**merge.manifest.__dict__, "members": (type(member)(**{**member.__dict__, "weights": entries}),)}
    )
    with pytest.raises(CheckpointError, match="list of weights"):
        decoder_weights(changed)


def test_an_export_of_an_earlier_version_has_no_map(merge):
    (member,) = merge.manifest.members
    changed = ExportFolder(merge.path)
    changed.__dict__["manifest"] = type(merge.manifest)(
        **{**merge.manifest.__dict__, "members": (type(member)(**{**member.__dict__, "weights": None}),)}
    )
    with pytest.raises(CheckpointError, match="does not say"):
        decoder_weights(changed)
