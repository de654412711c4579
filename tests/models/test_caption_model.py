"""The loss equals NumPy's, and the caption model trains with it."""

import keras
import numpy as np
import pytest

from capsmith.data.text.vocabulary import END
from capsmith.models.caption_model import CaptionModel, distilled_cross_entropy, masked_cross_entropy
from capsmith.models.decoders.config import DECODERS, InjectConfig
from tests.support.backends import gradient

B, T, V = 3, 5, 7
TARGETS = np.array([[4, 5, 3, 0, 0], [6, 3, 0, 0, 0], [4, 4, 6, 5, 3]], "int32")
LOGITS = np.random.default_rng(0).normal(scale=3, size=(B, T, V)).astype("float32")


def loss(targets, logits, smoothing=0.0):
    return float(masked_cross_entropy(keras.ops.convert_to_tensor(targets), logits, smoothing))


def by_hand(targets, logits, smoothing=0.0):
    """Computes the definition, one token at a time."""
    found = []
    for row, position in zip(*np.nonzero(targets), strict=True):
        x = logits[row, position].astype(float)
        log_probabilities = x - np.log(np.exp(x).sum())
        wanted = np.full(V, smoothing / V)
        wanted[targets[row, position]] += 1 - smoothing
        found.append(-(wanted * log_probabilities).sum())
    return np.mean(found)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_the_loss_equals_numpy(smoothing):
    expected = by_hand(TARGETS, LOGITS, smoothing)
    assert loss(TARGETS, LOGITS, smoothing) == pytest.approx(expected, rel=1e-6)
    assert expected != pytest.approx(by_hand(TARGETS, LOGITS, smoothing + 0.05))


def test_the_loss_agrees_with_keras_without_smoothing():
    whole = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0, reduction="sum")
    assert loss(TARGETS, LOGITS) == pytest.approx(float(whole(TARGETS, LOGITS)) / np.count_nonzero(TARGETS), rel=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_padding_does_not_change_the_loss(smoothing):
    before = loss(TARGETS, LOGITS, smoothing)
    wild = np.where(TARGETS[..., None] == 0, 1e4, LOGITS).astype("float32")
    assert loss(TARGETS, wild, smoothing) == before
    wider = np.pad(TARGETS, ((0, 2), (0, 3))), np.pad(LOGITS, ((0, 2), (0, 3), (0, 0)), constant_values=9)
    assert loss(*wider, smoothing) == pytest.approx(before, rel=1e-6)
    assert loss(np.where(TARGETS == 6, 0, TARGETS), LOGITS, smoothing) != pytest.approx(before, rel=1e-3)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_gradient_is_softmax_minus_target_and_zero_on_padding(smoothing):
    found = gradient(lambda x: masked_cross_entropy(keras.ops.convert_to_tensor(TARGETS), x, smoothing), LOGITS)
    probabilities = np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)
    wanted = (1 - smoothing) * np.eye(V)[TARGETS] + smoothing / V
    real = TARGETS != 0
    np.testing.assert_allclose(found, (probabilities - wanted) * real[..., None] / real.sum(), atol=1e-6)
    assert not found[~real].any()
    assert found[real].any()


def test_captions_can_be_weighted():
    """Against the definition, with weights of either sign."""
    weight = np.array([0.5, -2.0, 0.0], "float32")
    each = [by_hand(TARGETS[i : i + 1], LOGITS[i : i + 1]) * np.count_nonzero(TARGETS[i]) for i in range(B)]
    found = float(masked_cross_entropy(keras.ops.convert_to_tensor(TARGETS), LOGITS, 0.0, weight))
    assert found == pytest.approx(np.dot(weight, each) / np.count_nonzero(TARGETS), rel=1e-5)


def test_the_loss_of_padding_alone_is_zero():
    assert loss(np.zeros((B, T), "int32"), LOGITS) == 0


def test_large_logits_do_not_overflow():
    assert loss(TARGETS, LOGITS * 1e4) == pytest.approx(by_hand_limit(), rel=1e-4)


def by_hand_limit():
    """With huge logits the loss is how far the target lies below the largest."""
    x = LOGITS.astype(float) * 1e4
    below = x.max(-1) - np.take_along_axis(x, TARGETS[..., None].astype(int), -1)[..., 0]
    return below[TARGETS != 0].mean()


def model(encoder=None, smoothing=0.0):
    keras.utils.set_random_seed(0)
    settings = InjectConfig(units=6, dropout=0.0, embedding={"size": 4})
    decoder = DECODERS.build(settings, V)
    decoder(np.zeros((1, 4), "float32"), np.zeros((1, 2), "int32"))
    made = CaptionModel(decoder, encoder, smoothing)
    made.built = True
    return made


def batch(features):
    tokens = np.concatenate([np.full((B, 1), 2), TARGETS[:, :-1]], axis=1).astype("int32")
    return {"features": features, "image": np.array([0, 1, 1], "int32"), "tokens": tokens}


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_model_trains_with_this_loss(smoothing):
    features = np.random.default_rng(1).normal(size=(2, 4)).astype("float32")
    made = model(smoothing=smoothing)
    made.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    logits = keras.ops.convert_to_numpy(made(batch(features)))
    found = float(made.train_on_batch(batch(features), TARGETS))
    assert found == pytest.approx(by_hand(TARGETS, logits, smoothing), rel=1e-5)


def test_the_encoder_is_trained_too():
    pixels = keras.Input((2, 2, 3))
    encoder = keras.Model(pixels, keras.layers.Dense(4, name="see")(keras.layers.Flatten()(pixels)))
    made = model(encoder)
    made.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    images = np.random.default_rng(2).integers(0, 256, (2, 2, 2, 3)).astype("uint8")
    before = [np.array(keras.ops.convert_to_numpy(v)) for v in made.trainable_variables]
    made.train_on_batch(batch(images), TARGETS)
    changed = [
        np.abs(keras.ops.convert_to_numpy(v) - b).max() > 0
        for v, b in zip(made.trainable_variables, before, strict=True)
    ]
    assert all(changed)
    assert any("see" in v.path for v in made.trainable_variables)


def test_scheduled_sampling_replaces_input_words():
    """At rate 1 every word except special tokens is sampled; a peaked model samples its most probable word."""
    made = model()
    made.decoder.output_layer.kernel.assign(made.decoder.output_layer.kernel * 1e4)
    made.sample_inputs()
    features = np.random.default_rng(1).normal(size=(2, 4)).astype("float32")
    inputs = {name: keras.ops.convert_to_tensor(value) for name, value in batch(features).items()}
    tokens = batch(features)["tokens"]
    plain = keras.ops.convert_to_numpy(made.decoder(inputs["features"], inputs["tokens"], inputs["image"]))

    def mixed():
        return keras.ops.convert_to_numpy(made._mixed(inputs["features"], inputs["tokens"], inputs["image"]))

    np.testing.assert_array_equal(mixed(), tokens)
    made.mixing.assign(1.0)
    said = np.concatenate([tokens[:, :1], plain.argmax(-1)[:, :-1]], axis=1)
    words = tokens > END
    np.testing.assert_array_equal(mixed(), np.where(words, said, tokens))
    assert (mixed() != tokens).any()
    assert (mixed()[~words] == tokens[~words]).all()
    made.mixing.assign(0.5)
    share = np.mean([(mixed() == said)[words & (said != tokens)].mean() for _ in range(60)])
    assert 0.35 < share < 0.65


def test_old_captions_follow_the_teacher():
    """The loss is computed by hand; where the model agrees with the teacher, its gradient is zero."""
    logs = LOGITS - np.log(np.exp(LOGITS).sum(-1, keepdims=True))
    teacher = np.random.default_rng(1).dirichlet(np.ones(LOGITS.shape[-1]), LOGITS.shape[:2]).astype("float32")
    old = np.arange(len(TARGETS)) % 2 == 0
    hard = -np.take_along_axis(logs, TARGETS[..., None], -1)[..., 0]
    losses = np.where(old[:, None], -(teacher * logs).sum(-1), hard)
    targets = keras.ops.convert_to_tensor(TARGETS)
    found = float(distilled_cross_entropy(targets, LOGITS, teacher, old))
    assert found == pytest.approx(losses[TARGETS > 0].mean(), rel=1e-5)
    own = np.exp(logs)
    slope = gradient(lambda x: distilled_cross_entropy(targets, x, own, np.ones(len(TARGETS), bool)), LOGITS)
    np.testing.assert_allclose(slope, 0, atol=1e-6)
