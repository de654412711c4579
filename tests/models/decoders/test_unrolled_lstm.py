"""The explicit gradient of an LSTM equals automatic differentiation and finite differences."""

import keras
import numpy as np
import pytest
from keras import ops

from capsmith.models.decoders.recurrence import LSTM, unroll
from capsmith.models.decoders.unrolled_lstm import unrolled_lstm

B, T, U = 3, 5, 4
RNG = np.random.default_rng(0)
Z, H, C, KERNEL = (RNG.normal(size=shape).astype("float32") for shape in ((B, T, 4 * U), (B, U), (B, U), (U, 4 * U)))
WEIGHT = RNG.normal(size=(B, T, U)).astype("float32")
"""What every output counts in the loss."""


def reference(z, h, c, kernel):
    """The LSTM in NumPy, in double precision."""
    outputs = []
    for step in range(z.shape[1]):
        i, f, candidate, o = np.split(z[:, step] + h @ kernel, 4, axis=-1)
        i, f, o = (1 / (1 + np.exp(-gate)) for gate in (i, f, o))
        c = f * c + i * np.tanh(candidate)
        h = o * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs, axis=1)


def gradients(function, arguments):
    """Returns the gradients of the weighted sum of a function's outputs."""
    match keras.backend.backend():
        case "tensorflow":
            import tensorflow as tf

            tensors = [tf.constant(argument) for argument in arguments]
            with tf.GradientTape() as tape:
                tape.watch(tensors)
                loss = ops.sum(function(*tensors) * WEIGHT)
            return [np.array(gradient) for gradient in tape.gradient(loss, tensors)]
        case "torch":
            import torch

            tensors = [torch.tensor(argument, requires_grad=True) for argument in arguments]
            ops.sum(function(*tensors) * ops.convert_to_tensor(WEIGHT)).backward()
            return [tensor.grad.numpy() for tensor in tensors]
        case _:
            import jax

            of = jax.grad(lambda *tensors: ops.sum(function(*tensors) * WEIGHT), argnums=(0, 1, 2, 3))
            return [np.array(gradient) for gradient in of(*arguments)]


def test_outputs_equal_the_equations():
    found = ops.convert_to_numpy(unrolled_lstm(Z, H, C, KERNEL))
    np.testing.assert_allclose(found, reference(*(a.astype("float64") for a in (Z, H, C, KERNEL))), atol=1e-6)


def test_gradients_equal_finite_differences():
    doubles = [argument.astype("float64") for argument in (Z, H, C, KERNEL)]
    for place, gradient in enumerate(gradients(unrolled_lstm, (Z, H, C, KERNEL))):
        for index in [
            (0,) * gradient.ndim,
            tuple(n - 1 for n in gradient.shape),
            tuple(n // 2 for n in gradient.shape),
        ]:
            values = []
            for sign in (1, -1):
                moved = [argument.copy() for argument in doubles]
                moved[place][index] += sign * 1e-5
                values.append((reference(*moved) * WEIGHT).sum())
            assert gradient[index] == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-3, abs=1e-4)


def test_a_call_over_a_sentence_equals_single_steps():
    layer = LSTM(U, 6)
    state = [ops.convert_to_tensor(H), ops.convert_to_tensor(C)]
    fast = layer.sentence(ops.convert_to_tensor(Z), state)
    slow = unroll(layer.step, ops.convert_to_tensor(Z), state)[0]
    np.testing.assert_allclose(ops.convert_to_numpy(fast), ops.convert_to_numpy(slow), atol=1e-6)


def test_gradients_equal_automatic_differentiation_of_the_steps():
    def steps(z, h, c, kernel):
        def step(now, state):
            i, f, candidate, o = ops.split(now + ops.matmul(state[0], kernel), 4, axis=-1)
            c = ops.sigmoid(f) * state[1] + ops.sigmoid(i) * ops.tanh(candidate)
            return [ops.sigmoid(o) * ops.tanh(c), c]

        return unroll(step, z, [h, c])[0]

    for mine, automatic in zip(
        gradients(unrolled_lstm, (Z, H, C, KERNEL)), gradients(steps, (Z, H, C, KERNEL)), strict=True
    ):
        np.testing.assert_allclose(mine, automatic, rtol=1e-4, atol=1e-5)
