"""Adapting an encoder: what it learns, what stays, that it is done once, resumed, and found in the run."""

import json
import shutil

import numpy as np
import pytest

from capsmith import Captioner
from capsmith.config import load_config
from capsmith.core.errors import CheckpointError, ConfigError, FeatureError
from capsmith.data.records import Corpus, Record
from capsmith.evaluation.evaluate import evaluate
from capsmith.models.given_features import require_encoder
from capsmith.models.run_config import run_config
from capsmith.training import encoder_adaptation as adapting
from capsmith.training.encoder_adaptation import adapt_encoders
from capsmith.training.extract import extract
from capsmith.training.fit import train
from capsmith.training.word_labels import Words, average_precision
from capsmith.vision.config import EncoderConfig
from capsmith.vision.encoder import build_encoder
from capsmith.vision.encoders import ENCODERS
from capsmith.vision.images import load_image
from capsmith.vision.networks import build_network, layers_after, layers_by_name
from tests.support import shapes
from tests.support.prepared import corpus_of, prepare_splits


def settings(folder, **adapt):
    """A frozen random CNN whose last two blocks are taught the words of the shapes."""
    how = {"output": str(folder / "adapted"), "after": "block3_out", "epochs": 12, "learning_rate": 0.003}
    values = shapes.settings(
        features={"cache": str(folder / "cache")}, training={"epochs": 1}, evaluation={"after_training": None}
    )
    values["encoder"] |= {"output": "grid", "pretrain_on_words": {**how, "batch_size": 12, "min_images": 2, **adapt}}
    values["decoder"] = {"type": "attention", "units": 16, "attention_units": 16, "embedding": {"size": 16}}
    return values


def scores(folder):
    return json.loads((folder / "adapted" / "adapted.json").read_text())["scores"]


@pytest.fixture(scope="module")
def adapted(tmp_path_factory):
    """A folder with an adapted encoder and a run of one epoch on its features."""
    folder = tmp_path_factory.mktemp("adapting")
    config = load_config(settings(folder))
    train(config, folder / "run")
    return folder, config


def test_average_precision_by_hand():
    """Ranked right, wrong, right: (1/1 + 2/3) / 2; a word of fewer than five images does not count."""
    there = np.zeros((12, 2), bool)
    there[[0, 2, 5, 6, 9], 0] = True
    there[0, 1] = True
    found = np.stack([-np.arange(12.0), np.arange(12.0)], axis=1)
    assert average_precision(found, there) == pytest.approx((1 / 1 + 2 / 3 + 3 / 6 + 4 / 7 + 5 / 10) / 5)
    assert average_precision(found[:, 1:], there[:, 1:]) is None


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


def test_the_layers_before_stay_and_those_after_learn(adapted):
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
    captioner.encoder = plain
    del captioner.__dict__["_encode"]
    assert np.abs(captioner.features([record.path]) - stored).max() > 0.1


@pytest.mark.parametrize("output", ["grid", "pooled"])
def test_features_go_on_from_those_of_the_layer_before(tmp_path, output, log_lines):
    """Those of train and dev are there when the encoder is; they are what the whole network gives of the images."""
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


def test_features_go_on_in_the_precision_of_the_layer_before(tmp_path, log_lines):
    """What is left to extract is calculated as those before it were, and asking for just that is no mistake."""
    values = settings(tmp_path, epochs=1)
    values["features"]["precision"] = "bfloat16"
    config, lines = load_config(values), log_lines
    adapt_encoders(config, corpus_of(config))
    extract(config)
    assert any("24 of 120 images with small_cnn in bfloat16" in line for line in lines)


def test_what_was_adapted_is_used_again(adapted, monkeypatch):
    folder, config = adapted
    monkeypatch.setattr(adapting, "WordLabelTrainer", None)
    train(config, folder / "second")
    assert extract(config).shape == Captioner.load(folder / "second").feature_shape


def test_what_was_adapted_otherwise_is_not(adapted):
    folder, _ = adapted
    with pytest.raises(CheckpointError, match="other settings .*epochs: 12 instead of 13"):
        adapt_encoders(*asked(load_config(settings(folder, epochs=13))))
    (folder / "adapted" / "adapted.json").rename(folder / "kept.json")
    try:
        (folder / "adapted" / "adapted.json").write_text("[1]")
        with pytest.raises(CheckpointError, match="is damaged or incomplete: delete"):
            adapt_encoders(*asked(load_config(settings(folder))))
    finally:
        (folder / "kept.json").rename(folder / "adapted" / "adapted.json")


def asked(config):
    return config, corpus_of(config)


def interrupted(config, monkeypatch, at=2):
    """Adapts until a pass, and is then interrupted."""
    one_pass = adapting.WordLabelTrainer._pass

    def dying(self, number, *rest):
        if number == at:
            raise KeyboardInterrupt
        return one_pass(self, number, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(adapting.WordLabelTrainer, "_pass", dying)
        with pytest.raises(KeyboardInterrupt):
            adapt_encoders(*asked(config))


def test_interrupted_it_goes_on_to_the_same_weights(tmp_path, monkeypatch):
    whole, parts = (load_config(settings(tmp_path / name, epochs=3)) for name in ("whole", "parts"))
    adapt_encoders(*asked(whole))
    interrupted(parts, monkeypatch)
    folder, done, one_pass = tmp_path / "parts" / "adapted", [], adapting.WordLabelTrainer._pass
    assert (folder / "adapting.npz").exists() and not (folder / "adapted.json").exists()
    monkeypatch.setattr(
        adapting.WordLabelTrainer, "_pass", lambda self, n, *rest: done.append(n) or one_pass(self, n, *rest)
    )
    adapt_encoders(*asked(parts))
    assert done == [2] and not (folder / "adapting.npz").exists()
    assert scores(tmp_path / "parts") == pytest.approx(scores(tmp_path / "whole"), abs=1e-6)
    cores = [build_encoder(config.encoders[0]).core.get_weights() for config in (whole, parts)]
    for one, other in zip(*cores, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_with_other_settings_it_does_not_go_on(tmp_path, monkeypatch):
    interrupted(load_config(settings(tmp_path)), monkeypatch, at=1)
    with pytest.raises(CheckpointError, match="other settings .*seed: 0 instead of 7"):
        adapt_encoders(*asked(load_config(settings(tmp_path, seed=7))))


def test_the_best_pass_is_kept(tmp_path, monkeypatch):
    """Passes score 0.5, 0.9, 0.7: the weights are those after the second."""
    said, cores = iter([0.5, 0.9, 0.7]), []
    found = adapting.WordLabelTrainer._found

    def watched(self, rows, store):
        cores.append([np.array(w) for w in self.encoder.core.get_weights()])
        return found(self, rows, store)

    monkeypatch.setattr(adapting, "average_precision", lambda found, there: next(said))
    monkeypatch.setattr(adapting.WordLabelTrainer, "_found", watched)
    config = load_config(settings(tmp_path, epochs=3))
    adapt_encoders(*asked(config))
    kept = build_encoder(config.encoders[0]).core.get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(kept, cores[1], strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(kept, cores[2], strict=True))


def test_a_mirrored_image_is_learned_with_its_words_mirrored(tmp_path):
    """Every other image's features are turned round, and "left" is then learned as "right"."""
    config, corpus = asked(load_config(settings(tmp_path)))
    records = corpus.split("train")
    plain, how = (
        build_encoder(config.encoders[0].model_copy(update={"pretrain_on_words": None})),
        config.encoders[0].pretrain_on_words,
    )
    words = Words.of(records, config.text, config.training.flip_word_pairs, 2)
    lesson = adapting.WordLabelTrainer(plain, "block3_out", words, how, {})
    given, sure = [], words.of_images(records)
    columns = np.arange(lesson.grid[1], dtype=np.float32)

    class Numbered:
        def gather(self, rows):
            grid = np.zeros((len(rows), *lesson.grid), np.float32)
            grid[:, 0, :, 0] = columns
            grid[:, 0, :, 1] = rows[:, None]
            return grid.reshape(len(rows), -1, lesson.grid[2])

    class Fake:
        optimizer = lesson.detector.optimizer

        def train_on_batch(self, seen, said):
            given.append((seen, said))
            return 0.0

    lesson.detector = Fake()
    lesson._pass(0, np.arange(len(records)), sure, Numbered())
    turned = 0
    for seen, said in zip(*(np.concatenate(part) for part in zip(*given, strict=True)), strict=True):
        mirrored, own = seen[0, 0, 0] != 0, sure[int(seen[0, 0, 1])]
        turned += mirrored
        np.testing.assert_array_equal(said, own[words.mirrored] if mirrored else own)
    assert 20 < turned < 52


def test_a_run_has_a_copy_for_when_the_folder_is_gone(adapted):
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
            match="is missing: .* set encoder.pretrain_on_words.output to the run",
        ):
            train(config, folder / "run", resume=True)
    finally:
        (folder / "away").rename(folder / "adapted")


def test_weights_of_unknown_making_are_not_overwritten(tmp_path):
    (tmp_path / "adapted").mkdir()
    (tmp_path / "adapted" / "encoder.weights.h5").write_bytes(b"dear")
    with pytest.raises(CheckpointError, match="but not how it was made"):
        adapt_encoders(*asked(load_config(settings(tmp_path))))
    assert (tmp_path / "adapted" / "encoder.weights.h5").read_bytes() == b"dear"


def test_a_note_without_weights_is_said(adapted, tmp_path):
    (tmp_path / "adapted").mkdir()
    shutil.copy(adapted[0] / "adapted" / "adapted.json", tmp_path / "adapted")
    with pytest.raises(CheckpointError, match="damaged or incomplete: delete it"):
        adapt_encoders(*asked(load_config(settings(tmp_path))))


def test_a_store_of_one_s_own_holds_the_adapted_features(tmp_path):
    values = settings(tmp_path, epochs=1)
    values["features"] = {"store": str(tmp_path / "mine"), "cache": str(tmp_path / "cache")}
    assert extract(load_config(values)).shape == (4, 128)


def test_words_of_mirrored_images_change_sides(tmp_path):
    config, corpus = asked(load_config(settings(tmp_path)))
    words = Words.of(corpus.split("train"), config.text, config.training.flip_word_pairs, 2)
    left, right, red = (words.column[word] for word in ("left", "right", "red"))
    assert (words.mirrored[left], words.mirrored[right], words.mirrored[red]) == (right, left, red)
    assert "a" not in words.column  # it stands in every image's captions
    record = next(r for r in corpus.split("train") if r.image_id.startswith("red_bar_left"))
    sure = words.of_images([record])
    assert sure[0, left] == sure[0, red] == 1.0 and sure[0, right] == 0.0
    once = Record(record.image_id, record.path, (*record.captions[:1], "a green thing"), "train")
    assert words.of_images([once])[0, red] == 0.5


@pytest.mark.jax
@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"after": "block9_out"}, FeatureError, "has no layer 'block9_out'"),
        (
            {"min_images": 1000},
            FeatureError,
            "no word occurs .* of 1000 to 54 of the 72 training images",
        ),
        ({"after": "block5_out"}, FeatureError, "encoder.pretrain_on_words.after: 'block5_out' is the last layer"),
        ({"after": "block5_norm"}, FeatureError, "behind 'block5_norm' no layer of a grid learns"),
        (
            {"learning_rate": 1e30},
            FeatureError,
            "the loss is .* in pass .: lower encoder.pretrain_on_words.learning_rate",
        ),
    ],
)
def test_what_cannot_be_adapted(tmp_path, changes, error, said):
    with pytest.raises(error, match=said):
        adapt_encoders(*asked(load_config(settings(tmp_path, **changes))))
    assert "learning_rate" in changes or not (tmp_path / "cache").exists()  # said before the long work
    assert not (tmp_path / "adapted" / "encoder.weights.h5").exists()


def test_an_adapted_encoder_that_is_gone_is_said(tmp_path):
    config = load_config(settings(tmp_path))
    with pytest.raises(FeatureError, match=r"adapted.encoder\.weights\.h5 is missing"):
        prepare_splits(config, "test")


def test_without_dev_images_the_last_pass_counts(tmp_path):
    config, corpus = asked(load_config(settings(tmp_path, epochs=2)))
    adapt_encoders(config, Corpus(tuple(corpus.split("train")), corpus.problems))
    assert scores(tmp_path)[0] < scores(tmp_path)[1] < 0
    assert (tmp_path / "adapted" / "encoder.weights.h5").exists()


def test_only_a_frozen_encoder_is_adapted(tmp_path):
    values = settings(tmp_path)
    values["encoder"]["trainable"] = True
    with pytest.raises(ConfigError, match="pretrain_on_words.*trainable: true"):
        load_config(values)


def test_a_layer_that_others_lead_past_is_refused():
    core = build_network(EncoderConfig(type="mobilenet_v2", weights="none"))
    with pytest.raises(FeatureError, match="encoder.pretrain_on_words.after: .*'block_14_expand'"):
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
def test_the_last_block_begins_where_the_table_says(name, before, first):
    core = build_network(EncoderConfig(type=name, weights="none"))
    block = layers_after(core, ENCODERS[name].block)
    assert block.inputs[0].shape[1:] == before and block.output.shape == core.output.shape
    assert first is None or block.layers[1].name == first
