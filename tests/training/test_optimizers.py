"""capsmith's Adam updates weights as Keras's does."""

import keras
import numpy as np
import pytest

from capsmith.config import load_config
from capsmith.training.optimizers import build_optimizer

WORDS, CHANNELS = 12, 5


def model():
    """Returns a model with an embedding, whose gradient is sparse on TensorFlow, and a dense layer."""
    keras.utils.set_random_seed(3)
    made = keras.Sequential([keras.layers.Embedding(WORDS, CHANNELS), keras.layers.Flatten(), keras.layers.Dense(2)])
    made.build((None, 4))
    return made


def trained(optimizer, steps=5):
    """Returns the weights after some steps."""
    made = model()
    made.compile(optimizer, "mse")
    rng = np.random.default_rng(1)
    for _ in range(steps):
        made.train_on_batch(rng.integers(0, WORDS, (8, 4)), 30 * rng.normal(size=(8, 2)).astype("float32"))
    return made.get_weights(), made


@pytest.mark.parametrize("clip", [0.5, 1e6, None])
@pytest.mark.parametrize("kind", ["adam", "adamw"])
def test_weights_are_keras_s(kind, clip):
    sets = [f"training.optimizer={kind}", f"training.clip_norm={clip or 'null'}", "training.learning_rate=0.01"]
    config = load_config("flickr8k.yaml", [*sets, "training.weight_decay=0.1", "training.ema=null"]).training
    common = {"learning_rate": 0.01, "global_clipnorm": clip}
    theirs = keras.optimizers.AdamW(weight_decay=0.1, **common) if kind == "adamw" else keras.optimizers.Adam(**common)
    mine, expected = trained(build_optimizer(config))[0], trained(theirs)[0]
    start = model().get_weights()
    for one, other, before in zip(mine, expected, start, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-6)
        assert np.abs(other - before).max() > 1e-3  # the weights changed


def test_a_nan_gradient_gives_nan_weights():
    config = load_config("flickr8k.yaml", ["training.optimizer=adam"]).training
    made = model()
    made.compile(build_optimizer(config), "mse")
    made.train_on_batch(np.zeros((2, 4), int), np.full((2, 2), np.inf, "float32"))
    assert any(np.isnan(weights).any() for weights in made.get_weights())
