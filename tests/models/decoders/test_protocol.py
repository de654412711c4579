"""Every decoder: one call over a sentence equals one step per word."""

import keras
import numpy as np
import pytest

from capsmith.models.decoders.config import (
    DECODERS,
    AttentionConfig,
    AttentionOnAttentionConfig,
    EmbeddingConfig,
    InjectConfig,
    MergeConfig,
    UpDownConfig,
)

V, T, D, L = 23, 9, 11, 6
SMALL = {"units": 16, "embedding": EmbeddingConfig(size=8), "dropout": 0.4}


DEEP = {**SMALL, "layers": 2, "layer_norm": True, "tie_embeddings": True}
HEADS = {**SMALL, "attention": "multihead", "attention_units": 12, "heads": 3}
ADDITIVE = {**SMALL, "attention": "additive", "attention_units": 12}
ATTENTIVE = [
    *(kind(**how) for kind in (AttentionConfig, UpDownConfig, AttentionOnAttentionConfig) for how in (HEADS, ADDITIVE)),
    AttentionConfig(cell="gru", gate=False, refine=True, **{**ADDITIVE, "layers": 2, "layer_norm": True}),
    AttentionOnAttentionConfig(input_feeding=False, standardise=True, spatial_dropout=0.3, **{**HEADS, "layers": 2}),
    AttentionOnAttentionConfig(input_feeding=False, refine=False, cell="gru", **ADDITIVE),
    UpDownConfig(cell="gru", refine=True, **{**HEADS, "layer_norm": True, "tie_embeddings": True}),
]
POOLED = [
    *(MergeConfig(fusion=fusion, **SMALL) for fusion in ("add", "concat", "multiply")),
    *(InjectConfig(mode=mode, **SMALL) for mode in ("init", "pre", "par")),
    *(InjectConfig(mode=mode, cell="gru", **DEEP) for mode in ("init", "pre")),
    InjectConfig(mode="init", **DEEP),
    MergeConfig(cell="gru", standardise=True, **SMALL),
]
VARIANTS = [*((config, shape) for config in POOLED for shape in ((D,), (L, D))), *((c, (L, D)) for c in ATTENTIVE)]


def name(value):
    if isinstance(value, tuple):
        return "grid" if len(value) == 2 else "pooled"
    how = next(getattr(value, key) for key in ("fusion", "mode", "attention") if hasattr(value, key))
    return f"{value.type}-{how}-{value.cell}-{value.layers}"


every_decoder = pytest.mark.parametrize("config, shape", VARIANTS, ids=name)


def build(config, shape=(D,), **kwargs):
    keras.utils.set_random_seed(3)
    decoder = DECODERS.build(config, V, **kwargs)
    decoder(np.zeros((1, *shape), "float32"), np.zeros((1, 2), "int32"))
    rng = np.random.default_rng(0)
    for variable in decoder.trainable_variables:  # move biases and norms away from their initial zeros and ones
        variable.assign(variable + rng.normal(scale=0.3, size=variable.shape).astype("float32"))
    return decoder


def inputs(shape=(D,), images=4):
    rng = np.random.default_rng(1)
    features = rng.normal(size=(images, *shape)).astype("float32")
    return features, rng.integers(1, V, (images, T)).astype("int32")


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def stepped(decoder, features, tokens):
    state, logits = decoder.start(features), []
    for t in range(tokens.shape[1]):
        step, state = decoder.step(keras.ops.convert_to_tensor(tokens[:, t]), state)
        logits.append(numpy(step))
    return np.stack(logits, axis=1)


@pytest.mark.jax
@every_decoder
def test_teacher_forcing_equals_single_steps(config, shape):
    decoder = build(config, shape)
    features, tokens = inputs(shape)
    at_once = numpy(decoder(features, tokens))
    assert at_once.shape == (4, T, V)
    np.testing.assert_allclose(stepped(decoder, features, tokens), at_once, atol=1e-5)


@every_decoder
def test_logits_depend_on_the_image_and_not_on_later_words(config, shape):
    decoder = build(config, shape)
    features, tokens = inputs(shape)
    before = numpy(decoder(features, tokens))
    assert np.abs(numpy(decoder(features[::-1].copy(), tokens)) - before).max() > 1e-3
    later = tokens.copy()
    later[:, 5:] = 1 + later[:, 5:] % (V - 1)
    np.testing.assert_allclose(numpy(decoder(features, later))[:, :5], before[:, :5], atol=1e-6)
    assert np.abs(numpy(decoder(features, later))[:, 5:] - before[:, 5:]).max() > 1e-3


@pytest.mark.parametrize("config", POOLED, ids=name)
def test_captions_select_their_image_by_index(config):
    decoder = build(config)
    features, tokens = inputs()
    image = np.array([2, 2, 0, 1], "int32")
    np.testing.assert_allclose(
        numpy(decoder(features, tokens, image)), numpy(decoder(features[image], tokens)), atol=1e-6
    )


@every_decoder
def test_rows_of_one_image_share_its_encoding(config, shape):
    """Two images with three captions each equal six images with one caption each, in one call and step by step."""
    decoder = build(config, shape)
    features, _ = inputs(shape, images=2)
    _, tokens = inputs(shape, images=6)
    expected = numpy(decoder(np.repeat(features, 3, axis=0), tokens))
    np.testing.assert_allclose(numpy(decoder(features, tokens)), expected, atol=1e-5)
    state = decoder.start(features)
    rows = [keras.ops.repeat(tensor, 3, axis=0) for tensor in state[decoder.n_static :]]
    logits, after = decoder.step(keras.ops.convert_to_tensor(tokens[:, 0]), (*state[: decoder.n_static], *rows))
    np.testing.assert_allclose(numpy(logits), expected[:, 0], atol=1e-5)
    assert [t.shape[0] for t in after] == [2] * decoder.n_static + [6] * (len(after) - decoder.n_static)


def test_dropout_applies_only_in_training():
    decoder = build(MergeConfig(**SMALL))
    features, tokens = inputs()
    plain = numpy(decoder(features, tokens, training=False))
    np.testing.assert_array_equal(numpy(decoder(features, tokens, training=False)), plain)
    assert np.abs(numpy(decoder(features, tokens, training=True)) - plain).max() > 1e-3


def test_initial_word_vectors_and_output_bias():
    vectors = np.random.default_rng(2).normal(size=(V, 8)).astype("float32")
    frequencies = np.log(np.arange(1, V + 1) / 100).astype("float32")
    keras.utils.set_random_seed(0)
    frozen = {**SMALL, "embedding": EmbeddingConfig(size=8, trainable=False)}
    decoder = DECODERS.build(MergeConfig(**frozen), V, vectors=vectors, log_frequencies=frequencies)
    decoder(np.zeros((1, D), "float32"), np.zeros((1, 2), "int32"))
    np.testing.assert_array_equal(numpy(decoder.embedding.embeddings), vectors)
    np.testing.assert_array_equal(numpy(decoder.output_layer.bias), frequencies)
    assert not any(v.shape == (V, 8) for v in decoder.trainable_variables)


def test_unnormalised_lstm_equals_the_equations():
    """One step of ``inject`` (par) against the LSTM written out in NumPy."""
    decoder = build(InjectConfig(mode="par", **SMALL))
    features, tokens = inputs(images=2)
    weights = {v.path: numpy(v) for v in decoder.trainable_variables}

    def weight(end):
        return next(value for path, value in weights.items() if path.endswith(end))

    word = weight("embedding/embeddings")[tokens[:, 0]]
    image = np.maximum(features @ weight("beside_words/kernel") + weight("beside_words/bias"), 0)
    z = np.concatenate([word, image], axis=1) @ weight("cell_0/kernel") + weight("cell_0/bias")
    i, _, g, o = np.split(z, 4, axis=1)  # with a zero state the forget gate has no effect

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    h = sigmoid(o) * np.tanh(sigmoid(i) * np.tanh(g))
    expected = h @ weight("output/kernel") + weight("output/bias")
    np.testing.assert_allclose(numpy(decoder(features, tokens))[:, 0], expected, atol=1e-5)
