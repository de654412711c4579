"""Bias gradients in bfloat16 equal those in float32 up to rounding."""

import keras
import numpy as np
import pytest
from keras import ops

from capsmith.core.precision import dtype_scope
from capsmith.models.decoders.dense import Dense

ROWS, CHANNELS, UNITS = 4000, 8, 16
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, CHANNELS)).astype("float32")
SHARE = RNG.normal(0.2, 1.0, size=(ROWS, UNITS)).astype("float32")
"""What each number counts in the loss: so the gradient of a bias is the sum over rows, known beforehand."""


def gradient(layer):
    """Returns the gradient of the bias for a loss that is linear in the layer's output."""

    def loss():
        return ops.sum(ops.cast(layer(X), "float32") * SHARE)

    match keras.backend.backend():
        case "tensorflow":
            import tensorflow as tf

            with tf.GradientTape() as tape:
                value = loss()
            return np.array(tape.gradient(value, layer.bias.value))
        case "torch":
            loss().backward()
            return layer.bias.value.grad.numpy()
        case _:
            import jax

            def of(bias):
                state = [(layer.bias, bias), (layer.kernel, layer.kernel.value)]
                with keras.StatelessScope(state_mapping=state):
                    return loss()

            return np.array(jax.grad(of)(layer.bias.value))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_bias_gradient_is_the_sum_over_rows(precision):
    with dtype_scope(precision):
        layer = Dense(UNITS)
    layer.build((None, CHANNELS))
    expected = SHARE.sum(axis=0)
    assert np.abs(gradient(layer) - expected).max() < 0.03 * np.abs(expected).max()


@pytest.mark.parametrize("activation", [None, "relu"])
def test_dense_equals_keras_dense(activation):
    mine, theirs = Dense(UNITS, activation=activation), keras.layers.Dense(UNITS, activation=activation)
    for layer in (mine, theirs):
        layer.build((None, None, CHANNELS))
    mine.set_weights([RNG.normal(size=(CHANNELS, UNITS)), RNG.normal(size=UNITS)])
    theirs.set_weights(mine.get_weights())
    x = X[:12].reshape(3, 4, CHANNELS)
    np.testing.assert_allclose(*(ops.convert_to_numpy(layer(x)) for layer in (mine, theirs)), rtol=1e-5, atol=1e-6)


def test_a_layer_without_a_bias():
    layer = Dense(UNITS, use_bias=False)
    np.testing.assert_allclose(
        ops.convert_to_numpy(layer(X)), X @ ops.convert_to_numpy(layer.kernel), rtol=1e-3, atol=1e-4
    )
