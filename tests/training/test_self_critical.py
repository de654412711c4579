"""Self-critical training: advantages by hand, the gradient's direction, and a reward that rises."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from capsmith import Captioner
from capsmith.config import load_config
from capsmith.core.errors import CheckpointError, ConfigError
from capsmith.data.sources import CroppedSource, PlainSource
from capsmith.data.text.tokens import tokenise
from capsmith.data.text.vocabulary import END, PAD, START
from capsmith.decoding.search import GreedyConfig, search
from capsmith.metrics.reward import CiderReward
from capsmith.training import self_critical
from capsmith.training.fit import train
from capsmith.training.history import read_csv
from capsmith.training.self_critical import SampledBatches
from tests.support import shapes
from tests.support.prepared import prepare_splits


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A captioner that has learned a little: its samples are often wrong."""
    folder = tmp_path_factory.mktemp("scst")
    patches = str(shapes.save_patches(folder / "patches.keras"))
    config = shapes.settings(encoder={"type": "custom", "weights": patches, "preprocess": "tf"}, **LITTLE)
    train(load_config(config), folder / "begun")
    return folder / "begun"


LITTLE = {"decoder": {"units": 32}, "training": {"epochs": 8}, "evaluation": {"after_training": None}}
FURTHER = {"objective": "scst", "learning_rate": 1e-3, "warmup": 0, "batch_size": 20, "epochs": 8}


def settings(begun, dropout=0.0, **training):
    values = load_config(begun / "config.yaml").model_dump(mode="json") if (begun / "config.yaml").exists() else {}
    values = values or shapes.settings(**LITTLE)
    values["decoder"]["dropout"] = dropout
    values["training"] = {**values["training"], **FURTHER, "resume_weights_from": str(begun), **training}
    return values


def batches(begun, dropout=0.0, **training):
    config = load_config(settings(begun, dropout, **training))
    captioner = Captioner.load(begun).with_config(config)
    prepared = prepare_splits(config, "train")
    records = prepared.split("train")
    made = SampledBatches(captioner, PlainSource(prepared.source), records)
    by_row = dict(zip((int(row) for row in made.rows), records, strict=True))
    return made, by_row


def read(made, index):
    """Returns the words of every row of a batch and what each counts."""
    inputs, targets = made[index]
    sentences = []
    for tokens, wanted in zip(inputs["tokens"], targets, strict=True):
        words = wanted[wanted != PAD]
        assert tokens[0] == (START if len(words) else PAD)
        assert (tokens[1 : len(words)] == words[:-1]).all()
        sentences.append(words.tolist())
    return inputs, sentences


def test_weights_are_rewards_over_the_mean_of_the_others(begun):
    made, by_row = batches(begun, samples=4)
    text = made.captioner.config.text
    references = {row: [tokenise(c, text) for c in record.captions] for row, record in by_row.items()}
    reward_of = CiderReward(references)
    inputs, sentences = read(made, 0)
    assert len(sentences) == 20
    rows = np.repeat(made.order[:5], 4)
    for first in range(0, 20, 4):
        some = sentences[first : first + 4]
        words = [[made.captioner.vocabulary.words[i] for i in s if i != END] for s in some]
        rewards = [
            float(reward_of.reward([int(row)], [w], [s[-1] == END])[0])
            for row, w, s in zip(rows[first : first + 4], words, some, strict=True)
        ]
        expected = [r - (sum(rewards) - r) / 3 for r in rewards]
        np.testing.assert_allclose(inputs["weight"][first : first + 4], expected, atol=1e-5)
    assert np.ptp(inputs["weight"]) > 0.1


def test_greedy_baseline(begun):
    made, _ = batches(begun, samples=4, baseline="greedy")
    inputs, _ = read(made, 0)
    rewards = np.array(made.rewards).reshape(5, 4)
    expected = rewards - inputs["weight"].reshape(5, 4)
    np.testing.assert_allclose(expected, expected[:, :1].repeat(4, 1), atol=1e-5)  # one baseline an image
    greedy = made.captioner.caption_features(inputs["features"], GreedyConfig(max_length=12))
    words = [tokenise(caption.text, made.captioner.config.text) for caption in greedy]
    found = made.reward_of.reward([int(row) for row in made.order[:5]], words)
    np.testing.assert_allclose(expected[:, 0], found, atol=1e-5)
    np.testing.assert_allclose(made.baselines, found, atol=1e-5)


def test_samples_are_a_function_of_seed_epoch_and_batch(begun):
    made, _ = batches(begun)
    made.set_epoch(3)
    first = read(made, 1)[1]
    made.set_epoch(0)
    assert read(made, 1)[1] != first
    made.set_epoch(3)
    read(made, 0)
    assert read(made, 1)[1] == first


def test_every_image_once_an_epoch(begun):
    made, by_row = batches(begun, samples=3)
    assert len(made) == -(-len(by_row) // (20 // 3))
    assert sorted(made.order) == sorted(by_row)
    last, sentences = read(made, len(made) - 1)
    real = 3 * (len(by_row) - (len(made) - 1) * (20 // 3))
    assert all(sentences[:real])
    assert not any(sentences[real:])
    assert not last["weight"][real:].any()


def test_a_better_caption_becomes_likelier(begun):
    """One step with one sample praised and one blamed moves their probabilities apart."""
    captioner = Captioner.load(begun)
    config = load_config(settings(begun))
    features = prepare_splits(config, "train").source.gather(np.array([0]))
    model = captioner.model
    model.decoder.dropout.rate = model.decoder.word_dropout.rate = 0.0  # the loaded run's own
    tokens = np.array([[START, 5, 6, 7], [START, 8, 5, 4]], "int32")
    targets = np.array([[5, 6, 7, END], [8, 5, 4, END]], "int32")

    def likelihoods():
        logits = keras.ops.convert_to_numpy(model({"features": features, "tokens": tokens}))
        chosen = np.take_along_axis(logits - np.log(np.exp(logits).sum(-1, keepdims=True)), targets[..., None], -1)
        return chosen[..., 0].sum(axis=1)

    before = likelihoods()
    model.compile(keras.optimizers.SGD(0.5), run_eagerly=True)
    weight = np.array([1.0, -1.0], "float32")
    model.train_on_batch({"features": features, "tokens": tokens, "weight": weight}, targets)
    praised, blamed = likelihoods() - before
    assert praised > 0.01 > -0.01 > blamed


def rewards(begun, run):
    train(load_config(settings(begun, learning_rate=3e-3)), run)
    rows = read_csv(run / "history.csv")
    assert all(0 <= row["dev_broken"] <= 1 for row in rows)
    return [row["reward"] for row in rows]


def test_the_reward_rises_and_falls_when_blame_and_praise_change_places(begun, tmp_path, monkeypatch):
    rising = rewards(begun, tmp_path / "run")
    assert np.mean(rising[-3:]) > 1.1 * rising[0]
    monkeypatch.setattr(SampledBatches, "_baseline", lambda self, rows, features, rewards: 2 * rewards - 0.6)
    falling = rewards(begun, tmp_path / "control")
    assert np.mean(falling[-3:]) < 0.9 * falling[0]


def test_it_needs_a_run_to_start_from(begun, tmp_path):
    with pytest.raises(ConfigError, match="resume_weights_from"):
        load_config(shapes.settings(training={"objective": "scst"}))
    with pytest.raises(ConfigError, match="samples of 2 or more"):
        load_config(settings(begun, samples=1))
    other = {**settings(begun), "decoder": {**settings(begun)["decoder"], "units": 17}}
    with pytest.raises(CheckpointError, match=r"of another model \(decoder.units: 32, now 17\)"):
        train(load_config(other), tmp_path / "run")
    with pytest.raises(CheckpointError, match="no run|is not a run|does not exist"):
        train(load_config(settings(tmp_path / "nowhere")), tmp_path / "other")


@pytest.mark.parametrize("every", [None, 0])
def test_interrupted_it_goes_on_to_the_same_numbers(begun, tmp_path, monkeypatch, every):
    """Samples, dropout, running mean, rewards and optimizer go on where they stopped, in the middle of an epoch too."""
    config = load_config(settings(begun, 0.25, epochs=3, samples=4, ema=0.9, schedule="cosine", checkpoint_every=every))
    train(config, tmp_path / "whole")

    def dying(self, index, original=SampledBatches.load):
        if (self.epoch, index) == (1, 2):
            raise KeyboardInterrupt
        return original(self, index)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(SampledBatches, "load", dying)
        train(config, tmp_path / "cut")
    assert len(read_csv(tmp_path / "cut" / "history.csv")) == 1
    train(config, tmp_path / "cut", resume=True)
    assert ("resuming after epoch 1 and" in (tmp_path / "cut" / "log.txt").read_text()) == (every == 0)
    whole, cut = (read_csv(tmp_path / name / "history.csv") for name in ("whole", "cut"))
    assert len(whole) == len(cut) == 3
    for one, other in zip(whole, cut, strict=True):
        assert one | {"seconds": 0} == pytest.approx(other | {"seconds": 0}, rel=1e-5, abs=1e-6)


def test_captions_of_mirrored_images_are_judged_with_their_words_turned_back(begun):
    made, by_row = batches(begun, samples=4)
    vocabulary = made.captioner.vocabulary
    other = np.arange(len(vocabulary))
    first, second = vocabulary.encode(tokenise(by_row[0].captions[0], made.captioner.config.text))[:2]
    other[first], other[second] = second, first
    ids = [record.image_id for record in by_row.values()]
    viewed = CroppedSource([made.source, made.source], ids)
    turned = SampledBatches(made.captioner, viewed, list(by_row.values()), other)
    inputs, sentences = read(turned, 0)
    rows = np.repeat(turned.order[:5], 4)
    mirrored = viewed.flipped(rows)
    assert 0 < mirrored.sum() < len(rows)
    said = [[i for i in s if i != END] for s in sentences]
    meant = [[int(other[i]) for i in s] if back else s for s, back in zip(said, mirrored, strict=True)]
    words = [[vocabulary.words[i] for i in s] for s in meant]
    ended = [s[-1] == END for s in sentences]
    expected = made.reward_of.reward([int(r) for r in viewed.original(rows)], words, ended)
    np.testing.assert_allclose(np.array(turned.rewards), expected, atol=1e-5)


@pytest.mark.parametrize("dropout", [0.0, 0.25])
def test_a_sample_is_learned_from_with_the_probability_that_it_was_drawn_with(begun, dropout, monkeypatch):
    """The loaded model's own dropout, 0.1, would show: learning has none but the one that drawing had."""
    made, _ = batches(begun, dropout=dropout, samples=4)
    drawn = []

    def watched(stepper, features, config):
        drawn.append(search(stepper, features, config))
        return drawn[-1]

    monkeypatch.setattr(self_critical, "search", watched)
    inputs, targets = made[0]
    model = made.captioner.model
    assert model.decoder.word_dropout.rate > 0

    def probabilities(given):
        logits = keras.ops.convert_to_numpy(model(given, training=True))
        chosen = np.take_along_axis(logits - np.log(np.exp(logits).sum(-1, keepdims=True)), targets[..., None], -1)
        return (chosen[..., 0] * (targets != PAD)).sum(axis=1)

    expected = [hypothesis.log_probability for samples in drawn[0] for hypothesis in samples]
    np.testing.assert_allclose(probabilities(inputs), expected, atol=1e-3)
    bare = {name: value for name, value in inputs.items() if name != "dropout_masks"}
    assert np.abs(probabilities(bare) - expected).max() > 0.1


def test_dropout_hides_its_share_and_stretches_the_rest(begun):
    made, _ = batches(begun, dropout=0.25, samples=4)
    whole = made.source.gather(made.order[:5]).astype("float32")
    inputs, _ = made[0]
    features, dropout_masks = inputs["features"], inputs["dropout_masks"]
    hidden = features == 0
    assert abs(hidden[whole != 0].mean() - 0.25) < 0.06
    np.testing.assert_allclose(features[~hidden], whole[~hidden] / 0.75, rtol=1e-3)
    for mask, width in zip(dropout_masks, made.captioner.model.decoder.widths, strict=True):
        assert mask.shape == (5, width)
        assert set(np.unique(mask)) == {np.float32(0), np.float32(1 / 0.75)}
    again = made[0][0]
    np.testing.assert_array_equal(again["features"], features)
    np.testing.assert_array_equal(again["dropout_masks"][1], dropout_masks[1])
    made.set_epoch(1)
    assert not np.array_equal(made[0][0]["features"], features)
    assert not np.array_equal(made[0][0]["dropout_masks"][1], dropout_masks[1])
    assert all((mask == 1).all() for mask in batches(begun, samples=4)[0][0][0]["dropout_masks"])


def test_hidden_features_of_one_scale_are_what_they_are_on_average(begun):
    made, _ = batches(begun, dropout=0.25, samples=4)
    mean = np.full(made.source.source.shape[-1], 3.0, "float32")
    made.captioner.model.decoder.standardise = SimpleNamespace(mean=keras.ops.convert_to_tensor(mean))
    made.set_epoch(0)  # where the mean is read
    whole = np.random.default_rng(0).normal(3.0, 1.0, (200, *made.source.source.shape)).astype("float32")
    features, _ = made._hidden(whole, 0)
    assert abs((features == 3.0).mean() - 0.25) < 0.03
    assert abs(features.mean() - whole.mean()) < 0.05
