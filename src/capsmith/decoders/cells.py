"""Recurrent cells, with and without layer normalisation.

B batch · E input channels · U units. Each cell maps ``(x_BE, [state_BU, …])`` to ``(h_BU, [state_BU, …])``.
"""

from typing import Any

import keras
from keras import ops


def build_cell(kind: str, units: int, layer_norm: bool, name: str) -> keras.layers.Layer:
    """Returns a cell for ``keras.layers.RNN``; ``kind`` is ``"lstm"`` or ``"gru"``."""
    if layer_norm:
        return {"lstm": LayerNormLSTMCell, "gru": LayerNormGRUCell}[kind](units, name=name)
    return {"lstm": keras.layers.LSTMCell, "gru": keras.layers.GRUCell}[kind](units, name=name)


class _LayerNormCell(keras.layers.Layer):
    """What the two normalised cells share: gates from input and state, each normalised (Ba et al. 2016, eq. 20)."""

    gates: int

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.output_size = units
        self.input_norm = keras.layers.LayerNormalization(name="input_norm")
        self.state_norm = keras.layers.LayerNormalization(name="state_norm")

    def build(self, input_shape: Any) -> None:
        """Makes the kernels for inputs of ``input_shape[-1]`` channels."""
        width = self.gates * self.units
        self.kernel = self.add_weight(shape=(input_shape[-1], width), name="kernel")
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, width), initializer="orthogonal", name="recurrent_kernel"
        )
        self.input_norm.build((None, width))
        self.state_norm.build((None, width))

    def products(self, x: Any, h: Any) -> tuple[Any, Any]:
        """Returns the normalised products of input and of state, each (B, gates · U)."""
        return self.input_norm(ops.matmul(x, self.kernel)), self.state_norm(ops.matmul(h, self.recurrent_kernel))


class LayerNormLSTMCell(_LayerNormCell):
    """An LSTM cell with normalised gates and cell state (Ba et al. 2016, eq. 20–22)."""

    gates = 4

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(units, **kwargs)
        self.state_size = [units, units]
        self.cell_norm = keras.layers.LayerNormalization(name="cell_norm")

    def build(self, input_shape: Any) -> None:
        """Makes the weights."""
        super().build(input_shape)
        self.cell_norm.build((None, self.units))

    def call(self, inputs: Any, states: Any, training: bool = False) -> tuple[Any, list[Any]]:
        """Takes one step; the forget gate starts open (+1)."""
        h, c = states
        from_input, from_state = self.products(inputs, h)
        i, f, candidate, o = ops.split(from_input + from_state, 4, axis=-1)
        c = ops.sigmoid(f + 1.0) * c + ops.sigmoid(i) * ops.tanh(candidate)
        h = ops.sigmoid(o) * ops.tanh(self.cell_norm(c))
        return h, [h, c]


class LayerNormGRUCell(_LayerNormCell):
    """A GRU cell (Cho et al. 2014, reset after the product) with normalised gates."""

    gates = 3

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(units, **kwargs)
        self.state_size = units

    def call(self, inputs: Any, states: Any, training: bool = False) -> tuple[Any, list[Any]]:
        """Takes one step."""
        h = states[0]
        from_input, from_state = self.products(inputs, h)
        xz, xr, xh = ops.split(from_input, 3, axis=-1)
        hz, hr, hh = ops.split(from_state, 3, axis=-1)
        z = ops.sigmoid(xz + hz)
        h = z * h + (1.0 - z) * ops.tanh(xh + ops.sigmoid(xr + hr) * hh)
        return h, [h]
