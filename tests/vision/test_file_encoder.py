"""``encoder.type: onnx``: extraction, training, saving and loading with the encoder of an export."""

import hashlib
import shutil

import numpy as np
import pytest

from capsmith import Captioner, load_config, train
from capsmith.cli import main
from capsmith.core import starter as package_data
from capsmith.core.errors import CheckpointError, ConfigError, FeatureError
from capsmith.data.prepare import read_corpus
from capsmith.training.extract import extract
from capsmith.vision.config import EncoderConfig
from capsmith.vision.encoder import build_encoder, build_network_encoder
from capsmith.vision.fingerprint import encoder_fingerprint
from capsmith.vision.images import load_image
from tests.support import toy
from tests.support.exports import SIDE, D, Reference, graphs, model, value, write_export


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx_encoder")
    toy.make_data(folder / "data")
    write_export(folder / "export")
    return folder


def settings(folder, **encoder):
    values = toy.settings(folder / "data", folder / "cache")
    values["encoder"] = {"type": "onnx", "weights": str(folder / "export" / "encoder.onnx"), **encoder}
    return values


@pytest.fixture(scope="module")
def run(folder):
    values = settings(folder)
    values["training"]["cached_crops"] = 2
    train(load_config(values), folder / "run")
    return folder / "run"


def reference(paths):
    return Reference().encode(np.stack([load_image(path, (SIDE, SIDE)) for path in paths]))


def test_extracted_features_are_those_of_the_export(folder):
    config = load_config(settings(folder))
    store = extract(config)
    records = read_corpus(config.data, config.features).records
    found = store.gather(store.rows([record.image_id for record in records]))
    assert store.shape == (D,)
    np.testing.assert_allclose(found, reference([record.path for record in records]), rtol=2e-3, atol=2e-3)


def test_a_run_keeps_its_own_copy(run, folder, tmp_path):
    content = (folder / "export" / "encoder.onnx").read_bytes()
    assert (run / "encoder.onnx").read_bytes() == content
    assert hashlib.sha256(content).hexdigest() in (run / "encoder.json").read_text()
    assert not (run / "encoder.weights.h5").exists()
    moved = shutil.copytree(run, tmp_path / "moved")
    config = (moved / "config.yaml").read_text().replace(str(folder / "export"), "/gone")
    (moved / "config.yaml").write_text(config)
    captioner = Captioner.load(moved)
    paths = sorted((folder / "data" / "images").iterdir())
    np.testing.assert_allclose(captioner.features(paths), reference(paths), rtol=1e-3, atol=1e-3)
    assert captioner.caption(paths[0]).text == Captioner.load(run).caption(paths[0]).text


def test_a_copy_that_was_changed_is_refused(run, tmp_path):
    moved = shutil.copytree(run, tmp_path / "moved")
    other = graphs(Reference(5))["encoder.onnx"].SerializeToString()
    (moved / "encoder.onnx").write_bytes(other)
    with pytest.raises(CheckpointError, match="SHA-256"):
        Captioner.load(moved)
    (moved / "encoder.onnx").unlink()
    with pytest.raises(CheckpointError, match="encoder.onnx"):
        Captioner.load(moved)


def test_members_of_an_ensemble_share_it(run, folder):
    captioner = Captioner.load([run, run])
    assert captioner.members[0].encoder is captioner.members[1].encoder
    assert captioner.caption(min((folder / "data" / "images").iterdir())).text


def test_show_lists_it(run, capsys):
    assert main(["show", str(run), "--layers"]) == 0
    assert "onnx" in capsys.readouterr().out


def test_the_fingerprint_is_that_of_the_content(folder, tmp_path):
    path = folder / "export" / "encoder.onnx"
    copy = shutil.copy(path, tmp_path / "another.onnx")
    other = tmp_path / "other.onnx"
    other.write_bytes(graphs(Reference(5))["encoder.onnx"].SerializeToString())
    prints = [encoder_fingerprint(EncoderConfig(type="onnx", weights=str(p))) for p in (path, copy, other)]
    assert prints[0] == prints[1] != prints[2]


def test_the_starters_encoder_has_a_name(folder, monkeypatch):
    monkeypatch.setattr(package_data, "STARTER_DATA", folder / "export")
    encoder = build_encoder(EncoderConfig(type="onnx", weights="starter"))
    assert encoder.image_size == (SIDE, SIDE) and encoder.feature_shape == (D,)
    monkeypatch.setattr(package_data, "STARTER_DATA", folder / "none")
    with pytest.raises(CheckpointError, match="not in this installation"):
        build_encoder(EncoderConfig(type="onnx", weights="starter"))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"trainable": True}, "trainable"),
        ({"trainable": "last_block"}, "trainable"),
        ({"pretrain_on_words": {"output": "words"}}, "pretrain_on_words"),
        ({"layer": "block_12_add"}, "layer"),
        ({"image_size": 64}, "image_size"),
        ({"weights": "imagenet"}, "weights"),
        ({"weights": "none"}, "weights"),
        ({"weights": "encoder.keras"}, "weights"),
    ],
)
def test_what_needs_layers_is_refused(changes, named, folder):
    with pytest.raises(ConfigError, match=named):
        load_config(settings(folder, **changes))


def encoder_of(folder, content, **changes):
    path = folder / "wrong.onnx"
    path.write_bytes(content)
    return build_encoder(EncoderConfig(type="onnx", weights=str(path), **changes))


def test_other_files_are_refused(tmp_path, folder):
    good = (folder / "export" / "encoder.onnx").read_bytes()
    step = (folder / "export" / "step.onnx").read_bytes()
    for content in (b"", b"no model", good[: len(good) // 2], step):
        with pytest.raises(FeatureError, match=r"encoder\.weights: .*wrong\.onnx"):
            encoder_of(tmp_path, content)
    with pytest.raises(FeatureError, match="output: pooled"):
        encoder_of(tmp_path, good, output="grid")
    with pytest.raises(FeatureError, match="absent.onnx"):
        build_encoder(EncoderConfig(type="onnx", weights=str(tmp_path / "absent.onnx")))
    with pytest.raises(FeatureError, match="cannot be trained"):
        build_network_encoder(EncoderConfig(type="onnx", weights=str(folder / "export" / "encoder.onnx")))


def test_files_with_other_inputs_are_refused(tmp_path):
    from onnx import helper

    def graph(shape, node):
        pixels, features = value("pixels", 2, shape), value("features", 1, ("images", None, None, None))
        return model([helper.make_node("Cast", ["pixels"], ["floats"], to=1), node], [pixels], [features], {})

    identity = helper.make_node("Identity", ["floats"], ["features"])
    for shape in (("images", "height", "width", 3), ("images", 8, 8, 4)):
        with pytest.raises(FeatureError, match="images"):
            encoder_of(tmp_path, graph(shape, identity).SerializeToString())
    with pytest.raises(FeatureError, match="features"):  # an output with rows and columns is not a grid (P, L, D)
        encoder_of(tmp_path, graph(("images", 8, 8, 3), identity).SerializeToString())


def test_its_precision_is_float32(folder, tmp_path):
    values = settings(folder)
    values["features"] |= {"precision": "bfloat16", "cache": str(tmp_path / "cache")}
    with pytest.raises(FeatureError, match="features.precision"):
        extract(load_config(values))
