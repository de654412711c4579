"""Recurrent layers that compute the input products of a sentence in one matrix product.

B captions · T words · C input channels · U units · G gate channels (4 U for an LSTM, 3 U for a GRU).

A recurrent layer spends its time in two products: input by kernel and state by kernel. Only the second depends on the
previous step. `inputs` computes the first for all words together; an input that is the same at every word (the image,
in ``inject par``) is multiplied once per sentence. `step` advances by one word; `unroll` runs a step along a sentence.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from capsmith.models.decoders.dense import biased
from capsmith.models.decoders.unrolled_lstm import unrolled_lstm

Step = Callable[[Any, list[Any]], list[Any]]


def build_recurrence(
    kind: str, units: int, channels: int, layer_norm: bool = False, name: str | None = None
) -> "Recurrence":
    """Returns a recurrent layer; ``kind`` is ``"lstm"`` or ``"gru"``."""
    return {"lstm": LSTM, "gru": GRU}[kind](units, channels, layer_norm, name=name)


class Recurrence(keras.layers.Layer, ABC):
    """Base of both kinds.

    Args:
        units: U.
        channels: Input channels, including those of the constant input.
        layer_norm: Normalise the input products, the state products (Ba et al. 2016, eq. 20) and the LSTM cell state.
        name: Name of the layer and its weights.
    """

    gates: int
    states: int

    def __init__(self, units: int, channels: int, layer_norm: bool = False, name: str | None = None) -> None:
        super().__init__(name=name)
        self.units, self.channels, self.layer_norm = units, channels, layer_norm
        width = self.gates * units
        self.kernel = self.add_weight(shape=(channels, width), initializer="glorot_uniform", name="kernel")
        self.recurrent_kernel = self.add_weight(shape=(units, width), initializer="orthogonal", name="recurrent_kernel")
        self.bias = self.add_weight(shape=(width,), initializer=self._first_bias, name="bias")
        if layer_norm:
            self.input_norm = _norm(width, "input_norm")
            self.state_norm = _norm(width, "state_norm")
        self.built = True  # all weights exist; the layer is used through its methods, never called

    def inputs(self, x: Any, constant: Any = None) -> Any:
        """Multiplies inputs by the kernel.

        Args:
            x: (B, T, C) or (N, C).
            constant: (B, C'), the same at every word; C + C' are the layer's channels.

        Returns:
            The input part of the gates, including the bias: (B, T, G) or (N, G).
        """
        first = x.shape[-1]
        z = ops.matmul(x, self.kernel if constant is None else self.kernel[:first])
        if constant is not None:
            same = ops.matmul(constant, self.kernel[first:])
            z = z + (same[:, None] if len(z.shape) == 3 else same)
        return biased(self.input_norm(z) if self.layer_norm else z, self.bias)

    @abstractmethod
    def step(self, z: Any, state: list[Any]) -> list[Any]:
        """Maps the input part of the gates (N, G) and the state to the next state, whose first tensor is h."""

    def sentence(self, z: Any, state: list[Any]) -> Any:
        """Maps the input part of the gates (B, T, G) and the initial state to all outputs (B, T, U)."""
        return unroll(self.step, z, state)[0]

    def zero(self, like: Any) -> list[Any]:
        """Returns the zero state for the rows of ``like``."""
        return [ops.zeros((ops.shape(like)[0], self.units), like.dtype) for _ in range(self.states)]

    def _from_state(self, h: Any) -> Any:
        z = ops.matmul(h, self.recurrent_kernel)
        return self.state_norm(z) if self.layer_norm else z

    def _first_bias(self, shape: Any, dtype: Any = None) -> Any:
        return ops.zeros(shape, dtype)


class LSTM(Recurrence):
    """LSTM (Hochreiter and Schmidhuber 1997) with initial forget bias 1; normalised as in Ba et al. 2016, eq. 20–22."""

    gates, states = 4, 2

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.layer_norm:
            self.cell_norm = _norm(self.units, "cell_norm")

    def step(self, z: Any, state: list[Any]) -> list[Any]:
        """Returns [h, c]."""
        h, c = state
        i, f, candidate, o = ops.split(z + self._from_state(h), 4, axis=-1)
        c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(candidate)
        return [ops.sigmoid(o) * ops.tanh(self.cell_norm(c) if self.layer_norm else c), c]

    def sentence(self, z: Any, state: list[Any]) -> Any:
        """Returns all outputs (B, T, U); an unrolled loop has an explicit gradient."""
        if self.layer_norm or not _unrolled(z):
            return super().sentence(z, state)
        h, c = state
        return unrolled_lstm(z, h, c, ops.cast(self.recurrent_kernel, z.dtype))

    def _first_bias(self, shape: Any, dtype: Any = None) -> Any:
        bias = np.zeros(shape, "float32")
        bias[self.units : 2 * self.units] = 1.0  # the forget gate (Jozefowicz et al. 2015)
        return ops.convert_to_tensor(bias, dtype)


class GRU(Recurrence):
    """GRU (Cho et al. 2014) with the reset gate after the product."""

    gates, states = 3, 1

    def step(self, z: Any, state: list[Any]) -> list[Any]:
        """Returns [h]."""
        h = state[0]
        xz, xr, xh = ops.split(z, 3, axis=-1)
        hz, hr, hh = ops.split(self._from_state(h), 3, axis=-1)
        keep = ops.sigmoid(xz + hz)
        return [keep * h + (1.0 - keep) * ops.tanh(xh + ops.sigmoid(xr + hr) * hh)]


def unroll(step: Step, z: Any, state: list[Any]) -> list[Any]:
    """Runs a step along a sentence.

    If the length is known, the loop is unrolled, which is fastest on TensorFlow. JAX, which would compile every step
    separately, and unknown lengths use a scan.

    Args:
        step: Maps the inputs of one word (B, …) and the state to the next state.
        z: Inputs (B, T, …).
        state: Tensors with leading axis B.

    Returns:
        The state after every word: each tensor (B, T, …).
    """
    if not _unrolled(z):

        def body(carry: Any, now: Any) -> Any:
            after = step(now, list(carry))
            return after, after

        _, path = ops.scan(body, list(state), ops.swapaxes(z, 0, 1))
        return [ops.swapaxes(tensor, 0, 1) for tensor in path]
    steps = []
    for now in ops.unstack(z, z.shape[1], axis=1):
        state = step(now, state)
        steps.append(state)
    return [ops.stack(tensors, axis=1) for tensors in zip(*steps, strict=True)]


def _unrolled(z: Any) -> bool:
    """Returns whether a loop over the words of z (B, T, …) is unrolled."""
    return z.shape[1] is not None and keras.backend.backend() != "jax"


def _norm(width: int, name: str) -> keras.layers.Layer:
    norm = keras.layers.LayerNormalization(name=name)
    norm.build((None, width))
    return norm
