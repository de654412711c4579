"""Attention equals its equations, and learns a task that requires attending to the right region."""

import keras
import numpy as np
import pytest
from keras import ops

from capsmith.core.compilation import training_step
from capsmith.core.errors import ConfigError
from capsmith.data.text.vocabulary import END, START
from capsmith.models.caption_model import CaptionModel
from capsmith.models.decoders.attention import _doubly_stochastic_loss
from capsmith.models.decoders.attention_layers import build_attention
from capsmith.models.decoders.config import (
    DECODERS,
    AttentionConfig,
    AttentionOnAttentionConfig,
    MergeConfig,
    UpDownConfig,
)

P, N, L, U, A = 3, 6, 5, 8, 12
RNG = np.random.default_rng(0)
REGIONS = RNG.normal(size=(P, L, U)).astype("float32")
QUERY = RNG.normal(size=(N, 7)).astype("float32")


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def built(**config):
    keras.utils.set_random_seed(0)
    attend = build_attention(UpDownConfig(units=U, attention_units=A, heads=3, embedding={"size": 4}, **config))
    attend(QUERY, *attend.encode_regions(ops.convert_to_tensor(REGIONS)))
    for variable in attend.trainable_variables:
        variable.assign(variable + RNG.normal(scale=0.3, size=variable.shape).astype("float32"))
    context, weights = attend(QUERY, *attend.encode_regions(ops.convert_to_tensor(REGIONS)))
    return attend, numpy(context), numpy(weights)


def affine(layer, x):
    weights = [numpy(w) for w in layer.weights]
    return x @ weights[0] + (weights[1] if len(weights) > 1 else 0)


def test_additive_equals_the_equations():
    """Xu et al. 2015, eq. 4–6, one row and one region at a time."""
    attend, context, weights = built(attention="additive")
    for row in range(N):
        regions = REGIONS[row // (N // P)]
        hidden = np.tanh(affine(attend.key, regions) + affine(attend.question, QUERY[row]))
        expected = softmax(affine(attend.score, hidden)[:, 0])
        np.testing.assert_allclose(weights[row], expected, atol=1e-6)
        np.testing.assert_allclose(context[row], expected @ regions, atol=1e-5)


def test_multihead_equals_the_equations():
    """Vaswani et al. 2017, eq. 1, one row and one head at a time; the weights are the mean over heads."""
    attend, context, weights = built(attention="multihead")
    for row in range(N):
        regions = REGIONS[row // (N // P)]
        keys, values = affine(attend.key, regions), affine(attend.value, regions)
        question, wide = affine(attend.question, QUERY[row]), A // 3
        heads = [slice(h * wide, (h + 1) * wide) for h in range(3)]
        each = [softmax(keys[:, h] @ question[h] / np.sqrt(wide)) for h in heads]
        np.testing.assert_allclose(weights[row], np.mean(each, axis=0), atol=1e-6)
        expected = np.concatenate([w @ values[:, h] for w, h in zip(each, heads, strict=True)])
        np.testing.assert_allclose(context[row], expected, atol=1e-5)


def test_refinement_equals_the_equations():
    """Huang et al. 2019, eq. 4–6: information from query and attended values, times a gate from both."""
    attend, context, weights = built(attention="additive", refine=True)
    answer = np.stack([w @ REGIONS[row // (N // P)] for row, w in enumerate(weights)])
    information, gate = np.split(affine(attend.refine, np.concatenate([QUERY, answer], axis=1)), 2, axis=1)
    np.testing.assert_allclose(context, information / (1 + np.exp(-gate)), atol=1e-5)


def test_doubly_stochastic_loss_equals_the_equation():
    """Two captions of two words, one of them padded after the first; a third row is all padding."""
    weights = np.array([[[0.9, 0.1], [0.3, 0.7]], [[0.5, 0.5], [1.0, 0.0]], [[1.0, 0.0], [1.0, 0.0]]], "float32")
    mask = np.array([[1, 1], [1, 0], [0, 0]], bool)
    first = (1 - 1.2) ** 2 + (1 - 0.8) ** 2
    second = (1 - 0.5) ** 2 * 2
    assert float(_doubly_stochastic_loss(weights, mask)) == pytest.approx((first + second) / 2, rel=1e-5)


def images_with_one_informative_region(images, rng):
    """Images of noise with one region that shows one of four things; the caption is "LOOK thing"."""
    thing, place = rng.integers(0, 4, images), rng.integers(0, L, images)
    features = rng.normal(scale=0.3, size=(images, L, 9)).astype("float32")
    features[np.arange(images), place, thing] += 2.0
    features[np.arange(images), place, 8] += 2.0
    words = np.stack([np.full(images, 4), thing + 5], axis=1)
    tokens = np.concatenate([np.full((images, 1), START), words], axis=1).astype("int32")
    targets = np.concatenate([words, np.full((images, 1), END)], axis=1).astype("int32")
    return {"features": features, "tokens": tokens}, targets, place


SMALL = {
    "units": 16,
    "embedding": {"size": 6},
    "dropout": 0.0,
    "attention_units": 8,
    "heads": 1,
}  # a single head must find it


@pytest.mark.jax
@pytest.mark.parametrize(
    "config",
    [
        AttentionConfig(**SMALL, doubly_stochastic=0.01),
        UpDownConfig(**SMALL),
        AttentionOnAttentionConfig(**SMALL),
        AttentionOnAttentionConfig(input_feeding=False, **SMALL),
    ],
    ids=["attention", "updown", "aoa", "aoa-at-once"],
)
def test_attention_learns_the_right_region(config):
    keras.utils.set_random_seed(1)
    decoder = DECODERS.build(config, 9)
    decoder(np.zeros((1, L, 9), "float32"), np.zeros((1, 2), "int32"))
    model = CaptionModel(decoder)
    model.built = True
    model.compile(keras.optimizers.Adam(0.02))
    learn, rng = training_step(model), np.random.default_rng(2)
    for _ in range(300):
        inputs, targets, _ = images_with_one_informative_region(48, rng)
        learn(inputs, targets)
    inputs, targets, place = images_with_one_informative_region(200, np.random.default_rng(3))
    said = numpy(model(inputs)).argmax(-1)[:, 1]
    assert (said == targets[:, 1]).mean() > 0.9
    state = decoder.start(inputs["features"])
    for position in range(2):
        _, state = decoder.step(ops.convert_to_tensor(inputs["tokens"][:, position]), state)
    weights = numpy(state[-1])
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)
    assert (weights.argmax(axis=1) == place).mean() > 0.8
    assert (weights.argmax(axis=1) == np.roll(place, 1)).mean() < 0.5


def test_attention_requires_grid_features():
    decoder = DECODERS.build(UpDownConfig(**SMALL), 9)
    with pytest.raises(ConfigError, match="encoder.output"):
        decoder(np.zeros((1, 9), "float32"), np.zeros((1, 2), "int32"))


def test_word_dropout_applies_only_in_training():
    keras.utils.set_random_seed(0)
    decoder = DECODERS.build(MergeConfig(units=6, embedding={"size": 4}, dropout=0.0, word_dropout=0.5), 40)
    features = np.zeros((1, 3), "float32")
    tokens = np.concatenate([[[START]], RNG.integers(4, 40, (1, 400)), [[END, 0, 0]]], axis=1).astype("int32")
    decoder(features, tokens)
    hidden = numpy(decoder._hide(ops.convert_to_tensor(tokens)))
    changed = hidden != tokens
    assert set(hidden[changed]) == {1}
    assert 0.4 < changed[:, 1:-3].mean() < 0.6
    assert not changed[:, [0, -3, -2, -1]].any()
    np.testing.assert_array_equal(numpy(decoder(features, tokens)), numpy(decoder(features, tokens)))


def test_variational_dropout_uses_one_mask_for_all_words():
    keras.utils.set_random_seed(0)
    for variational in (True, False):
        decoder = DECODERS.build(MergeConfig(units=6, embedding={"size": 32}, dropout=0.5, variational=variational), 40)
        kept = numpy(decoder.word_dropout(np.ones((2, 9, 32), "float32"), training=True)) > 0
        assert 0.2 < kept.mean() < 0.8
        assert (kept == kept[:, :1]).all() == variational
        assert (kept[0] != kept[1]).any()
