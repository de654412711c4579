"""``training.transfer_from`` an export or the starter: its encoder, decoder and words, for other captions."""

import shutil

import keras
import numpy as np
import pytest

from capsmith import Captioner, load_config, train
from capsmith.cli import main
from capsmith.core import starter as package_data
from capsmith.core.errors import CheckpointError, ConfigError
from capsmith.core.yaml_io import read_yaml
from capsmith.deploy.export.export import export
from capsmith.models.export_folder import ExportFolder
from capsmith.models.exported_weights import decoder_weights
from capsmith.training.extract import extract
from capsmith.training.transfer import with_transferred_model
from tests.support import toy
from tests.support.exports import read_manifest, write_export, write_manifest


@pytest.fixture(scope="module")
def exported(tiny_run, tmp_path_factory):
    return export(tiny_run.run, tmp_path_factory.mktemp("export") / "toy").folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Returns a dataset with some words of the toy data, and others."""
    root = toy.make_data(tmp_path_factory.mktemp("own") / "data")
    rows = toy.rows()
    for row in rows:
        row["caption"] = row["caption"].replace("grey", "paper")
    toy.write_captions(root / "captions.csv", rows)
    return root


def settings(data, source, **changes):
    """Returns a config with another encoder and decoder than the export."""
    values = toy.settings(data, data.parent / "cache")
    values["encoder"] = {"type": "mobilenet_v2", "weights": "none"}
    values["decoder"] = {"type": "merge", "units": 24, "embedding": {"size": 12}}
    values["training"] |= {"transfer_from": str(source)}
    for section, change in changes.items():
        values[section] = {**values.get(section, {}), **change}
    return values


def frozen(data, source):
    """Returns a config whose training changes nothing."""
    return load_config(settings(data, source, training={"learning_rate": 1e-12}))


def test_encoder_and_decoder_are_those_of_the_export(exported, data):
    config = with_transferred_model(frozen(data, exported))
    original = read_manifest(exported)["config"]
    assert config.encoder.type == "onnx" and config.encoder.weights == str(exported / "encoder.onnx")
    assert config.decoder.model_dump(mode="json") == original["decoder"]
    assert config.text == frozen(data, exported).text and config.data.root == data
    assert with_transferred_model(config) == config
    own = settings(data, exported, decoder={**original["decoder"], "dropout": 0.05})
    assert with_transferred_model(load_config(own)).decoder.dropout == 0.05 != original["decoder"]["dropout"]
    plain = load_config(toy.settings(data, data.parent))
    assert with_transferred_model(plain) is plain


def test_a_training_begins_with_its_weights(exported, data, tmp_path, log_lines):
    captioner = train(frozen(data, exported), tmp_path / "run")
    assert any("are those of" in line for line in log_lines), log_lines
    words, old = captioner.vocabulary, ExportFolder(exported).vocabulary
    decoder = captioner.members[0].model.decoder
    axes = {id(weight): axis for weight, axis in decoder.by_word}
    shared = [word for word in words.words if word in old.words]
    assert "paper" not in shared and "grey" not in words.words and len(shared) > 8
    own_rows, old_rows = ([list(v.words).index(word) for word in shared] for v in (words, old))
    for weight, value in zip(decoder.weights, decoder_weights(ExportFolder(exported)), strict=True):
        found = keras.ops.convert_to_numpy(weight)
        if (axis := axes.get(id(weight))) is not None:
            found, value = np.take(found, own_rows, axis), np.take(value, old_rows, axis)
        np.testing.assert_allclose(found, value, atol=1e-6, err_msg=weight.path)
    images = sorted((data / "images").iterdir())
    np.testing.assert_allclose(
        captioner.features(images), Captioner.load(exported).features(images), rtol=2e-3, atol=2e-3
    )


def test_the_run_captions_without_the_export(exported, data, tmp_path):
    copy = shutil.copytree(exported, tmp_path / "export")
    train(load_config(settings(data, copy)), tmp_path / "run")
    shutil.rmtree(copy)
    image = min((data / "images").iterdir())
    assert Captioner.load(tmp_path / "run").caption(image).text
    assert read_yaml(tmp_path / "run" / "config.yaml")["encoder"]["type"] == "onnx"


def test_a_finished_training_is_resumed(exported, data, tmp_path):
    config = load_config(settings(data, exported))
    train(config, tmp_path / "run")
    before = (tmp_path / "run" / "model.weights.h5").read_bytes()
    captioner = train(config, tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "model.weights.h5").read_bytes() == before
    assert captioner.config.encoder.type == "onnx"


def test_a_run_with_this_encoder_is_exported_with_it(exported, data, tmp_path):
    train(load_config(settings(data, exported)), tmp_path / "run")
    again = export(tmp_path / "run", tmp_path / "again", quantise="float16")
    assert (again.folder / "encoder.onnx").read_bytes() == (exported / "encoder.onnx").read_bytes()
    assert again.comparison.same == 1.0
    with pytest.raises(CheckpointError, match="onnx or web"):
        export(tmp_path / "run", tmp_path / "saved", format="savedmodel")


def test_the_starter_has_a_name(exported, data, tmp_path, monkeypatch):
    monkeypatch.setattr(package_data, "STARTER_DATA", exported)
    monkeypatch.chdir(tmp_path)
    path = toy.write_config(tmp_path / "mine.yaml", settings(data, "starter"))
    assert main(["validate", "--config", str(path)]) == 0
    assert main(["train", "--config", str(path), "--run", str(tmp_path / "run")]) == 0
    assert read_yaml(tmp_path / "run" / "config.yaml")["encoder"]["weights"] == "starter"


def test_the_config_of_init_transfers_from_the_starter(exported, data, tmp_path, monkeypatch):
    monkeypatch.setattr(package_data, "STARTER_DATA", exported)
    monkeypatch.chdir(tmp_path)
    assert main(["init", str(data), "--out", "mine.yaml"]) == 0
    assert "# transfer_from: starter" in (tmp_path / "mine.yaml").read_text()
    options = ["--set", "training.transfer_from=starter", "--set", "training.epochs=1"]
    assert main(["train", "--config", "mine.yaml", "--run", "run", *options]) == 0
    assert Captioner.load("run").caption(min((data / "images").iterdir())).text


def test_extraction_uses_its_encoder(exported, data):
    store = extract(load_config(settings(data, exported)))
    assert store.shape == Captioner.load(exported).feature_shape


def test_settings_that_do_not_suit_are_named(exported, data, tmp_path, monkeypatch):
    def refused(error, match, source=exported, **changes):
        with pytest.raises(error, match=match):
            train(load_config(settings(data, source, **changes)), tmp_path / "refused")
        assert not (tmp_path / "refused" / "config.yaml").exists()

    refused(CheckpointError, "text.mode", text={"mode": "char"})
    refused(
        ConfigError, "augment", encoder={"trainable": True}, training={"augment": {}, "transfer_from": str(exported)}
    )
    (tmp_path / "old.pkl").write_bytes(b"")
    refused(ConfigError, "pickle", features={"store": str(tmp_path / "old.pkl")})
    refused(CheckpointError, "no run directory", source=tmp_path / "nowhere")
    monkeypatch.setattr(package_data, "STARTER_DATA", tmp_path / "none")
    monkeypatch.chdir(tmp_path)
    refused(CheckpointError, "not in this installation", source="starter")


def test_exports_without_weights_to_read_are_refused(exported, data, tmp_path):
    several = write_export(tmp_path / "several", seeds=(0, 1))
    with pytest.raises(CheckpointError, match="ensemble of 2"):
        train(load_config(settings(data, several)), tmp_path / "a")
    old = shutil.copytree(exported, tmp_path / "old")
    content = read_manifest(old)
    del content["members"][0]["weights"]
    write_manifest(old, content)
    with pytest.raises(CheckpointError, match="does not say"):
        train(load_config(settings(data, old)), tmp_path / "b")
    other = shutil.copytree(exported, tmp_path / "other")
    (other / "step.onnx").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="step.onnx"):
        train(load_config(settings(data, other)), tmp_path / "c")


def test_another_encoder_is_refused(exported, data, tmp_path):
    from capsmith.training.transfer import require_same_model

    config = load_config(settings(data, exported))
    with pytest.raises(CheckpointError, match="encoder"):
        require_same_model(config, ExportFolder(exported))
    require_same_model(with_transferred_model(config), ExportFolder(exported))
