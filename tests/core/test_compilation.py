"""A compiled function uses the weights' values at call time."""

import keras
import numpy as np
import pytest
from keras import ops

from capsmith.core.compilation import compiled, training_step
from capsmith.decoding.search import BeamConfig, GreedyConfig, search
from capsmith.decoding.stepper import DecoderStepper
from capsmith.models.caption_model import CaptionModel
from capsmith.models.decoders.config import DECODERS, AttentionConfig, MergeConfig

V, D = 9, 5


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def dense():
    layer = keras.layers.Dense(3, kernel_initializer="ones")
    layer.build((None, 2))
    return layer


def test_a_compiled_function_returns_the_same_values():
    layer = dense()
    x = np.random.default_rng(0).normal(size=(4, 2)).astype("float32")
    result = compiled(lambda a, b: (layer(a), b + 1), layer)(ops.convert_to_tensor(x), ops.convert_to_tensor(x))
    np.testing.assert_allclose(numpy(result[0]), x.sum(1, keepdims=True).repeat(3, 1), rtol=1e-5)
    np.testing.assert_allclose(numpy(result[1]), x + 1)


def test_weights_changed_after_compiling_are_used():
    layer = dense()
    function = compiled(lambda x: layer(x), layer)
    x = ops.ones((1, 2))
    assert numpy(function(x)).tolist() == [[2, 2, 2]]
    layer.kernel.assign(ops.full((2, 3), 5.0))
    assert numpy(function(x)).tolist() == [[10, 10, 10]]
    layer.bias.assign(ops.full((3,), 1.0))
    assert numpy(function(x)).tolist() == [[11, 11, 11]]


def test_other_batch_sizes_are_accepted():
    layer = dense()
    function = compiled(lambda x: layer(x), layer)
    for rows in (1, 3, 2, 7):
        assert numpy(function(ops.ones((rows, 2)))).shape == (rows, 3)


MERGE = MergeConfig(units=8, embedding={"size": 4}, dropout=0.5)
ATTENTION = AttentionConfig(units=8, embedding={"size": 4}, dropout=0.5, attention_units=6)


def decoder(seed=0, config=MERGE, shape=(D,)):
    keras.utils.set_random_seed(seed)
    made = DECODERS.build(config, V)
    made(np.zeros((1, *shape), "float32"), np.zeros((1, 2), "int32"))
    for variable in made.trainable_variables:
        variable.assign(variable + np.random.default_rng(seed).normal(size=variable.shape).astype("float32"))
    return made


def features(images, shape=(D,)):
    return np.random.default_rng(1).normal(size=(images, *shape)).astype("float32")


@pytest.mark.jax
def test_stepper_gives_the_decoder_s_log_probabilities():
    made, tokens = decoder(), np.array([[2, 4, 5], [2, 6, 7]], "int32")
    logits = numpy(made(features(2), tokens))
    expected = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    stepper = DecoderStepper(made)
    state = stepper.start(features(2))
    for position in range(3):
        result, state = stepper.step(tokens[:, position], np.arange(2, dtype=np.int32), state)
        np.testing.assert_allclose(result, expected[:, position], atol=1e-5)


@pytest.mark.jax
@pytest.mark.parametrize("config, shape", [(MERGE, (D,)), (ATTENTION, (3, D))], ids=["pooled", "grid"])
def test_stepper_follows_parents(config, shape):
    """Two images with two rows each; at the third word, every row continues one of its image's rows."""
    made = decoder(config=config, shape=shape)
    stepper = DecoderStepper(made)
    state = stepper.start(features(2, shape))
    _, state = stepper.step(np.full(4, 2, np.int32), np.array([0, 0, 1, 1], np.int32), state)
    _, state = stepper.step(np.array([4, 5, 6, 7], np.int32), np.arange(4, dtype=np.int32), state)
    result, _ = stepper.step(np.array([8, 4, 5, 6], np.int32), np.array([1, 0, 3, 3], np.int32), state)
    sentences = np.array([[2, 5, 8], [2, 4, 4], [2, 7, 5], [2, 7, 6]], "int32")
    logits = numpy(made(features(2, shape), sentences))[:, -1]
    np.testing.assert_allclose(result, logits - np.log(np.exp(logits).sum(-1, keepdims=True)), atol=1e-5)


def batch(words, images, seed=0):
    """Returns two captions of ``words`` words per image, and their targets."""
    tokens = np.random.default_rng(seed).integers(4, V, (2 * images, words + 1)).astype("int32")
    return {"features": features(images), "tokens": tokens[:, :-1]}, tokens[:, 1:]


@pytest.mark.jax
def test_learner_equals_keras_train_on_batch():
    """After steps of several shapes, losses and weights equal those of ``train_on_batch``."""
    made = []
    for learns in (training_step, lambda model: model.train_on_batch):
        model = CaptionModel(decoder(config=MERGE.model_copy(update={"dropout": 0.0})))
        model.built = True
        model.compile(keras.optimizers.Adam(0.01, global_clipnorm=1.0), jit_compile=False)
        step = learns(model)
        losses = [float(step(*batch(words, images))) for words, images in ((4, 3), (6, 3), (4, 2), (4, 3))]
        made.append((losses, [numpy(v) for v in model.trainable_variables]))
    np.testing.assert_allclose(made[0][0], made[1][0], rtol=1e-5)
    assert made[0][0][3] < made[0][0][0]
    for mine, keras_s in zip(made[0][1], made[1][1], strict=True):
        np.testing.assert_allclose(mine, keras_s, atol=1e-5)


def test_search_uses_the_weights_of_later_training():
    """A captioner is compiled once and decodes after every epoch."""
    made, stepper = decoder(), None
    stepper = DecoderStepper(made)
    before = search(stepper, features(6), GreedyConfig(max_length=5))
    for mine, other in zip(made.variables, decoder(seed=7).variables, strict=True):
        if mine.dtype == "float32":
            mine.assign(other)
    after = search(stepper, features(6), GreedyConfig(max_length=5))
    assert after != before
    fresh = search(DecoderStepper(made), features(6), GreedyConfig(max_length=5))
    assert [h[0].tokens for h in after] == [h[0].tokens for h in fresh]


def test_beam_scores_equal_those_of_teacher_forcing():
    """The log probability of a beam caption equals that of the teacher-forcing call."""
    made = decoder()
    for image, result in enumerate(search(DecoderStepper(made), features(4), BeamConfig(beam_size=3, max_length=6))):
        for hypothesis in result:
            read = np.array([[2, *hypothesis.tokens]], "int32")
            wanted = [*hypothesis.tokens, 3] if hypothesis.ended else list(hypothesis.tokens)
            logits = numpy(made(features(4)[image : image + 1], read))[0].astype(float)
            log_probabilities = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
            total = sum(log_probabilities[t, word] for t, word in enumerate(wanted))
            np.testing.assert_allclose(hypothesis.log_probability, total, atol=1e-4)
