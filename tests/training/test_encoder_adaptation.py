"""Adapting an encoder: what stays frozen, that it is done once, and that runs keep a copy."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from capsmith import Captioner
from capsmith.config import load_config
from capsmith.core.errors import CheckpointError, ConfigError, FeatureError
from capsmith.data.records import Corpus, Record
from capsmith.evaluation.kinds import evaluate
from capsmith.models.feature_origin import require_encoder
from capsmith.models.run_config import run_config
from capsmith.training import encoder_adaptation
from capsmith.training.encoder_adaptation import adapt_encoders
from capsmith.training.extract import extract
from capsmith.training.fit import train
from capsmith.vision.config import EncoderConfig
from capsmith.vision.encoder import build_encoder
from capsmith.vision.encoders import ENCODERS
from capsmith.vision.images import load_image
from capsmith.vision.networks import build_network, layers_after, layers_by_name
from tests.support import shapes
from tests.support.adaptation import asked, scores, settings
from tests.support.prepared import corpus_of, prepare_splits


@pytest.fixture(scope="module")
def adapted(tmp_path_factory):
    """A folder with an adapted encoder and a run of one epoch on its features."""
    folder = tmp_path_factory.mktemp("adapting")
    config = load_config(settings(folder))
    train(config, folder / "run")
    return folder, config


@pytest.mark.jax
def test_words_of_held_out_images_are_found(adapted):
    found = scores(adapted[0])
    assert found[-1] > 0.8 and found[-1] > found[0] + 0.1


def test_with_captions_of_other_images_nothing_is_learned(adapted, tmp_path):
    config = load_config(settings(tmp_path))
    corpus = corpus_of(config)
    train_records, rest = corpus.split("train"), [r for r in corpus.records if r.split != "train"]
    moved = np.random.default_rng(0).permutation(len(train_records))
    shuffled = [
        Record(r.image_id, r.path, train_records[other].captions, r.split)
        for r, other in zip(train_records, moved, strict=True)
    ]
    adapt_encoders(config, Corpus((*shuffled, *rest), corpus.problems))
    assert max(scores(tmp_path)) < scores(adapted[0])[-1] - 0.2


def test_only_the_layers_after_the_named_one_are_trained(adapted):
    folder, config = adapted
    before = build_encoder(config.encoders[0].model_copy(update={"pretrain_on_words": None})).core
    after = build_encoder(config.encoders[0]).core
    for name, layer in layers_by_name(before).items():
        other = layers_by_name(after)[name]
        same = all(np.array_equal(a, b) for a, b in zip(layer.get_weights(), other.get_weights(), strict=True))
        assert same == (name not in ("block4_conv", "block5_conv")), name
    assert not any(layer.trainable_variables for layer in after.layers)


def test_features_and_captions_are_those_of_the_adapted_encoder(adapted):
    folder, config = adapted
    record = prepare_splits(config, "test").split("test")[0]
    store = prepare_splits(config, "test").source
    stored = store.gather(store.rows([record.image_id])).astype("float32")
    plain = build_encoder(config.encoders[0].model_copy(update={"pretrain_on_words": None}))
    captioner = Captioner.load(folder / "run")
    np.testing.assert_allclose(captioner.features([record.path]), stored, rtol=5e-3, atol=5e-3)
    other = Captioner([replace(captioner.members[0], encoder=plain)])
    assert np.abs(other.features([record.path]) - stored).max() > 0.1


@pytest.mark.parametrize("output", ["grid", "pooled"])
def test_features_are_computed_from_the_stored_grids(tmp_path, output, log_lines):
    """Features of train and dev are stored with the encoder, and equal those of the complete network."""
    values = settings(tmp_path, epochs=2)
    values["encoder"]["output"] = output
    values["decoder"] = {"type": "inject", "units": 8} if output == "pooled" else values["decoder"]
    config, lines = load_config(values), log_lines
    corpus = corpus_of(config)
    adapt_encoders(config, corpus)
    assert any("96 images from an earlier layer" in line for line in lines)
    extract(config)
    assert any("24 of 120 images with small_cnn" in line for line in lines)
    store = prepare_splits(config, "train", "dev", "test").source
    encoder = build_encoder(config.encoders[0])
    for record in corpus.records[::17]:
        pixels = load_image(record.path, encoder.image_size)[None]
        kept = store.gather(store.rows([record.image_id])).astype("float32")
        np.testing.assert_allclose(kept, encoder.encode(pixels), rtol=5e-3, atol=5e-3)


def test_the_store_continues_in_the_precision_of_the_grids(tmp_path, log_lines):
    """The remaining images are extracted in the precision of the others, even if the config names another one."""
    values = settings(tmp_path, epochs=1)
    values["features"]["precision"] = "bfloat16"
    config, lines = load_config(values), log_lines
    adapt_encoders(config, corpus_of(config))
    extract(config)
    assert any("24 of 120 images with small_cnn in bfloat16" in line for line in lines)


def test_a_finished_pretraining_is_reused(adapted, monkeypatch):
    folder, config = adapted
    monkeypatch.setattr(encoder_adaptation, "WordLabelTrainer", None)
    train(config, folder / "second")
    assert extract(config).shape == Captioner.load(folder / "second").feature_shape


def test_a_pretraining_by_an_earlier_version_is_reused(adapted, tmp_path):
    """Its note has the keys of that version."""
    folder, _ = adapted
    shutil.copytree(folder / "adapted", tmp_path / "adapted")
    note = tmp_path / "adapted" / "adapted.json"
    text = note.read_text()
    assert "flip_word_pairs" in text and "min_images" in text
    note.write_text(text.replace("flip_word_pairs", "mirror_words").replace("min_images", "min_pictures"))
    before = (tmp_path / "adapted" / "encoder.weights.h5").read_bytes()
    adapt_encoders(*asked(load_config(settings(tmp_path))))
    assert (tmp_path / "adapted" / "encoder.weights.h5").read_bytes() == before


def test_a_pretraining_with_other_settings_is_refused(adapted):
    folder, _ = adapted
    with pytest.raises(CheckpointError, match="other settings .*epochs: 12 instead of 13"):
        adapt_encoders(*asked(load_config(settings(folder, epochs=13))))
    (folder / "adapted" / "adapted.json").rename(folder / "kept.json")
    try:
        (folder / "adapted" / "adapted.json").write_text("[1]")
        with pytest.raises(CheckpointError, match="adapted.json.*delete"):
            adapt_encoders(*asked(load_config(settings(folder))))
    finally:
        (folder / "kept.json").rename(folder / "adapted" / "adapted.json")


def test_a_run_keeps_a_copy(adapted):
    folder, config = adapted
    (folder / "adapted").rename(folder / "away")
    try:
        assert (folder / "run" / "encoder.weights.h5").read_bytes() == (
            folder / "away" / "encoder.weights.h5"
        ).read_bytes()
        evaluate(folder / "run", "test")
        assert run_config(folder / "run").encoders[0].pretrain_on_words.output == folder / "run"
        require_encoder(config.adapted_into([folder / "run"]), folder / "run")
        adapt_encoders(*asked(config.adapted_into([folder / "run"])))  # is there: nothing to do
        with pytest.raises(
            FeatureError,
            match="encoder.pretrain_on_words.output",
        ):
            train(config, folder / "run", resume=True)
    finally:
        (folder / "away").rename(folder / "adapted")


def test_weights_of_unknown_origin_are_not_overwritten(tmp_path):
    (tmp_path / "adapted").mkdir()
    (tmp_path / "adapted" / "encoder.weights.h5").write_bytes(b"dear")
    with pytest.raises(CheckpointError, match="encoder.pretrain_on_words.output"):
        adapt_encoders(*asked(load_config(settings(tmp_path))))
    assert (tmp_path / "adapted" / "encoder.weights.h5").read_bytes() == b"dear"


def test_missing_weights_are_reported(adapted, tmp_path):
    (tmp_path / "adapted").mkdir()
    shutil.copy(adapted[0] / "adapted" / "adapted.json", tmp_path / "adapted")
    with pytest.raises(CheckpointError, match="incomplete.*delete"):
        adapt_encoders(*asked(load_config(settings(tmp_path))))


def test_features_store_holds_the_adapted_features(tmp_path):
    values = settings(tmp_path, epochs=1)
    values["features"] = {"store": str(tmp_path / "mine"), "cache": str(tmp_path / "cache")}
    assert extract(load_config(values)).shape == (4, 128)


def test_a_missing_adapted_encoder_is_reported(tmp_path):
    config = load_config(settings(tmp_path))
    with pytest.raises(FeatureError, match=r"adapted.encoder\.weights\.h5 is missing"):
        prepare_splits(config, "test")


def test_only_a_frozen_encoder_is_adapted(tmp_path):
    values = settings(tmp_path)
    values["encoder"]["trainable"] = True
    with pytest.raises(ConfigError, match="pretrain_on_words.*trainable: true"):
        load_config(values)


def test_a_layer_with_a_bypass_is_refused():
    core = build_network(EncoderConfig(type="mobilenet_v2", weights="none"))
    with pytest.raises(FeatureError, match="encoder.pretrain_on_words.after: .*block_14_expand"):
        layers_after(core, "block_14_expand")


@pytest.mark.parametrize(
    ("name", "before", "first"),
    [
        ("vgg16", (14, 14, 512), "block5_conv1"),
        ("resnet50", (14, 14, 1024), "conv5_block1_1_conv"),
        ("resnet50_v2", (7, 7, 1024), "conv5_block1_preact_bn"),
        ("inception_v3", (17, 17, 768), None),
        ("mobilenet_v2", (14, 14, 96), "block_13_expand"),
        ("densenet121", (7, 7, 512), "conv5_block1_0_bn"),
    ],
)
def test_where_the_last_block_begins(name, before, first):
    core = build_network(EncoderConfig(type=name, weights="none"))
    block = layers_after(core, ENCODERS[name].block)
    assert block.inputs[0].shape[1:] == before and block.output.shape == core.output.shape
    assert first is None or block.layers[1].name == first


def test_a_training_that_goes_on_uses_the_encoder_of_its_run(adapted, tmp_path):
    """With other captions; a folder that is not that of the run is refused as before."""
    folder, config = adapted
    shapes.make_data(tmp_path / "data")
    table = tmp_path / "data" / "captions.csv"
    table.write_text(table.read_text().replace(" red ", " crimson "))
    values = settings(folder)
    values["data"]["root"] = str(tmp_path / "data")
    with pytest.raises(CheckpointError, match="other settings"):
        adapt_encoders(*asked(load_config(values)))
    values["training"] |= {"transfer_from": str(folder / "run"), "keep_words": True}
    before = (folder / "adapted" / "encoder.weights.h5").read_bytes()
    new = train(load_config(values), tmp_path / "run")
    assert "crimson" in new.vocabulary and "red" in new.vocabulary
    assert (folder / "adapted" / "encoder.weights.h5").read_bytes() == before
    assert (tmp_path / "run" / "encoder.weights.h5").read_bytes() == before
    other = load_config(settings(tmp_path / "elsewhere", epochs=1))
    adapt_encoders(*asked(other))
    values["encoder"]["pretrain_on_words"]["output"] = str(tmp_path / "elsewhere" / "adapted")
    with pytest.raises(CheckpointError, match="other settings"):
        adapt_encoders(*asked(load_config(values)))
