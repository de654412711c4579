"""The three functions of a captioner that an export contains: encoder, decoder start, decoder step.

P images · H, W pixels · N rows of a search, a multiple of P · D channels · L regions · V vocabulary · S state tensors.

Search stays outside: a complete loop exports to files that nothing can load.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from keras import ops

from capsmith.core.errors import CheckpointError, PluginError
from capsmith.models.keras_member import KerasMember
from capsmith.vision.encoder import Encoder

IMAGES, ROWS = "images", "rows"
"""Names of the two dynamic axes."""


@dataclass(frozen=True)
class Tensor:
    """An input of a graph.

    Attributes:
        name: Its name in the export.
        dtype: ``uint8``, ``int32`` or ``float32``.
        axis: Name of the dynamic leading axis.
        shape: The other axes.
    """

    name: str
    dtype: str
    axis: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Graph:
    """A function of tensors, to be written as one file.

    Attributes:
        name: ``encoder``, ``encoder_1`` …, ``start`` or ``step``: the stem of the file.
        function: Maps the inputs to a tuple of the outputs.
        inputs: The inputs, in the order of the function's arguments.
        outputs: Names of the outputs, in order, and the axis that each has first.
    """

    name: str
    function: Callable[..., tuple[Any, ...]]
    inputs: tuple[Tensor, ...]
    outputs: tuple[tuple[str, str], ...]

    def tensorflow(self, batch: int | None = None) -> Any:
        """Returns the function as a ``tf.function`` with its signature.

        Args:
            batch: Fixed length of the leading axes; dynamic by default.
        """
        import tensorflow as tf

        signature = [tf.TensorSpec((batch, *x.shape), x.dtype, name=x.name) for x in self.inputs]
        return tf.function(partial(self.function), input_signature=signature, autograph=False)


@dataclass(frozen=True)
class MemberGraphs:
    """All graphs of one trained model.

    Attributes:
        encoders: One for each encoder.
        start: Features to the state before the first word.
        step: Words and state to log probabilities and the recurrent state after them. Its outputs are called
            ``next_state_…``: ONNX allows each name once in a file.
        n_static: Number of state tensors that belong to the images.
        n_state: S.
    """

    encoders: tuple[Graph, ...]
    start: Graph
    step: Graph
    n_static: int
    n_state: int

    @property
    def all(self) -> tuple[Graph, ...]:
        """Every graph."""
        return *self.encoders, self.start, self.step


def member_graphs(member: KerasMember) -> MemberGraphs:
    """Returns the graphs of a model.

    Raises:
        CheckpointError: The model has no encoder.
        PluginError: The decoder's state is not a tuple of tensors with the leading axis P.
    """
    encoders = member.encoders
    names = ["encoder"] if len(encoders) == 1 else [f"encoder_{number + 1}" for number in range(len(encoders))]
    decoder = member.model.decoder
    if decoder.compute_dtype != "float32":
        raise CheckpointError(f"{member.run}: its decoder computes in {decoder.compute_dtype}: export needs float32")
    state = decoder.start(np.zeros((1, *member.feature_shape), np.float32))
    if not all(len(tensor.shape) and tensor.shape[0] == 1 for tensor in state):
        raise PluginError(f"decoder '{member.config.decoder.type}': its state has tensors without an axis of images")
    state_names = [f"state_{number}" for number in range(len(state))]
    axes = [IMAGES if number < decoder.n_static else ROWS for number in range(len(state))]
    state_inputs = [
        Tensor(name, str(tensor.dtype.name), axis, tuple(int(n) for n in tensor.shape[1:]))
        for name, axis, tensor in zip(state_names, axes, state, strict=True)
    ]
    return MemberGraphs(
        tuple(encoder_graph(encoder, name) for encoder, name in zip(encoders, names, strict=True)),
        Graph(
            "start",
            lambda features: tuple(decoder.start(features)),
            (Tensor("features", "float32", IMAGES, member.feature_shape),),
            tuple((name, IMAGES) for name in state_names),
        ),
        Graph(
            "step",
            partial(_step, decoder),
            (Tensor("tokens", "int32", ROWS, ()), *state_inputs),
            (("log_probs", ROWS), *((f"next_{name}", ROWS) for name in state_names[decoder.n_static :])),
        ),
        decoder.n_static,
        len(state),
    )


def encoder_graph(encoder: Encoder, name: str = "encoder") -> Graph:
    """Returns the graph of an encoder: uint8 pixels (P, H, W, 3) to float32 features."""

    def encode(pixels: Any) -> tuple[Any]:
        features = encoder.model(ops.cast(pixels, "float32"), training=False)
        return (ops.cast(features, "float32"),)

    pixels = Tensor("pixels", "uint8", IMAGES, (*encoder.image_size, 3))
    return Graph(name, encode, (pixels,), (("features", IMAGES),))


def _step(decoder: Any, tokens: Any, *state: Any) -> tuple[Any, ...]:
    logits, after = decoder.step(tokens, state)
    return ops.log_softmax(ops.cast(logits, "float32"), axis=-1), *after[decoder.n_static :]
