"""Batches of sampled captions: advantages by hand, dropout masks, every image once."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from capsmith.data.sources import CroppedSource
from capsmith.data.text.tokens import tokenise
from capsmith.data.text.vocabulary import END, PAD
from capsmith.decoding.config import GreedyConfig
from capsmith.decoding.search import search
from capsmith.metrics.reward import CiderReward
from capsmith.training import sampled_batches
from capsmith.training.neighbour_reward import neighbour_reward
from capsmith.training.sampled_batches import SampledBatches
from tests.support.scst import batches, read


def test_weights_are_rewards_minus_the_leave_one_out_mean():
    made, by_row = batches(samples=4)
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


def test_agreement_with_similar_images_is_added_to_the_reward():
    plain, _ = batches(samples=4)
    smoothed, by_row = batches(samples=4, neighbours=3, neighbour_weight=0.5)
    sentences = read(plain, 0)[1]
    assert read(smoothed, 0)[1] == sentences
    references = {row: record.tokens(plain.captioner.config.text) for row, record in by_row.items()}
    against = neighbour_reward(references, plain.source, plain.captioner.vocabulary, 3)
    words = [[plain.captioner.vocabulary.words[i] for i in s if i != END] for s in sentences]
    rows = np.repeat(plain.order[:5], 4).tolist()
    added = against.reward(rows, words, [s[-1] == END for s in sentences])
    assert added.max() > 0.1
    np.testing.assert_allclose(smoothed.rewards, np.array(plain.rewards) + 0.5 * added, atol=1e-6)


def test_greedy_baseline():
    made, _ = batches(samples=4, baseline="greedy")
    inputs, _ = read(made, 0)
    rewards = np.array(made.rewards).reshape(5, 4)
    expected = rewards - inputs["weight"].reshape(5, 4)
    np.testing.assert_allclose(expected, expected[:, :1].repeat(4, 1), atol=1e-5)  # one baseline an image
    greedy = made.captioner.caption_features(inputs["features"], GreedyConfig(max_length=12))
    words = [tokenise(caption.text, made.captioner.config.text) for caption in greedy]
    found = made.reward_of.reward([int(row) for row in made.order[:5]], words)
    np.testing.assert_allclose(expected[:, 0], found, atol=1e-5)
    np.testing.assert_allclose(made.baselines, found, atol=1e-5)


def test_samples_are_a_function_of_seed_epoch_and_batch():
    made, _ = batches()
    made.set_epoch(3)
    first = read(made, 1)[1]
    made.set_epoch(0)
    assert read(made, 1)[1] != first
    made.set_epoch(3)
    read(made, 0)
    assert read(made, 1)[1] == first


def test_every_image_occurs_once_per_epoch():
    made, by_row = batches(samples=3)
    assert len(made) == -(-len(by_row) // (20 // 3))
    assert sorted(made.order) == sorted(by_row)
    last, sentences = read(made, len(made) - 1)
    real = 3 * (len(by_row) - (len(made) - 1) * (20 // 3))
    assert all(sentences[:real])
    assert not any(sentences[real:])
    assert not last["weight"][real:].any()


def test_captions_of_mirrored_images_are_flipped_back_for_the_reward():
    made, by_row = batches(samples=4)
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
def test_training_sees_the_probability_of_sampling(dropout, monkeypatch):
    """Only the masks of sampling are applied: the loaded model's own dropout of 0.1 would show."""
    made, _ = batches(dropout=dropout, samples=4)
    drawn = []

    def watched(stepper, features, config):
        drawn.append(search(stepper, features, config))
        return drawn[-1]

    monkeypatch.setattr(sampled_batches, "search", watched)
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


def test_dropout_scales_what_it_keeps():
    made, _ = batches(dropout=0.25, samples=4)
    whole = made.source.gather(made.order[:5]).astype("float32")
    inputs, _ = made[0]
    features, masks = inputs["features"], inputs["dropout_masks"]
    hidden = features == 0
    assert abs(hidden[whole != 0].mean() - 0.25) < 0.06
    np.testing.assert_allclose(features[~hidden], whole[~hidden] / 0.75, rtol=1e-3)
    for mask, width in zip(masks, made.captioner.model.decoder.widths, strict=True):
        assert mask.shape == (5, width)
        assert set(np.unique(mask)) == {np.float32(0), np.float32(1 / 0.75)}
    again = made[0][0]
    np.testing.assert_array_equal(again["features"], features)
    np.testing.assert_array_equal(again["dropout_masks"][1], masks[1])
    made.set_epoch(1)
    assert not np.array_equal(made[0][0]["features"], features)
    assert not np.array_equal(made[0][0]["dropout_masks"][1], masks[1])
    assert all((mask == 1).all() for mask in batches(samples=4)[0][0][0]["dropout_masks"])


def test_dropped_standardised_features_take_their_mean():
    made, _ = batches(dropout=0.25, samples=4)
    mean = np.full(made.source.source.shape[-1], 3.0, "float32")
    made.captioner.model.decoder.standardise = SimpleNamespace(mean=keras.ops.convert_to_tensor(mean))
    made.set_epoch(0)  # where the mean is read
    whole = np.random.default_rng(0).normal(3.0, 1.0, (200, *made.source.source.shape)).astype("float32")
    features, _ = made._drop(whole, 0)
    assert abs((features == 3.0).mean() - 0.25) < 0.03
    assert abs(features.mean() - whole.mean()) < 0.05
