"""The protocol that every decoder speaks, and the recurrent decoder that most are built from.

P pictures · B captions · N rows of a search · T tokens · E word channels · U units · V vocabulary.

``decoder(features_P, tokens_BT, image_B)`` gives the logits of the whole sentence in one call (teacher forcing);
``start`` and ``step`` give the same logits one word at a time. The two agree at every position.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from capsmith.decoders.cells import build_cell
from capsmith.decoders.config import DecoderConfig

State = tuple[Any, ...]


class RecurrentDecoder(keras.layers.Layer):
    """Words through a recurrent stack to logits; subclasses say where the picture enters.

    A subclass may override four places: ``look`` (features to a picture vector), ``first`` (picture to initial
    state), ``read`` (picture beside the words) and ``join`` (picture after the recurrence).

    Args:
        config: The decoder's settings.
        vocabulary_size: V, specials included.
        vectors: Word vectors (V, E) to start from; None starts at random.
        log_frequencies: Log word probabilities (V,) that the output bias starts from; None starts at zero.
    """

    def __init__(
        self,
        config: DecoderConfig,
        vocabulary_size: int,
        vectors: np.ndarray | None = None,
        log_frequencies: np.ndarray | None = None,
    ) -> None:
        super().__init__(name="decoder")
        self.config = config
        self.vocabulary_size = vocabulary_size
        start = keras.initializers.RandomUniform(-0.08, 0.08) if vectors is None else _constant(vectors)
        self.embedding = keras.layers.Embedding(
            vocabulary_size,
            config.embedding.size,
            embeddings_initializer=start,
            trainable=config.embedding.trainable,
            name="embedding",
        )
        self.dropout = keras.layers.Dropout(config.dropout)
        self.recurrences = [
            keras.layers.RNN(
                build_cell(config.cell, config.units, config.layer_norm, name=f"cell_{index}"),
                return_sequences=True,
                return_state=True,
                name=f"recurrence_{index}",
            )
            for index in range(config.layers)
        ]
        bias = "zeros" if log_frequencies is None else _constant(log_frequencies)
        if config.tie_embeddings:
            self.to_embedding = keras.layers.Dense(config.embedding.size, name="to_embedding")
            self.bias = self.add_weight(shape=(vocabulary_size,), initializer=bias, name="output_bias")
        else:
            self.output_layer = keras.layers.Dense(vocabulary_size, bias_initializer=bias, name="output")

    # --- where the picture enters -------------------------------------------------------------------------------

    def look(self, features: Any, training: bool) -> Any:
        """Maps features (P, D) or (P, L, D) to what the decoder keeps of a picture, (P, …)."""
        return self.dropout(_pooled(features), training=training)

    def first(self, picture: Any) -> list[Any]:
        """Returns the initial recurrent state from the pictures (N, …): one flat list over all layers."""
        rows = ops.shape(picture)[0]
        return [ops.zeros((rows, self.config.units), picture.dtype) for _ in range(self._state_count)]

    def read(self, x_BTE: Any, picture: Any) -> Any:
        """Lets the recurrence see the picture: returns its inputs (B, T, …)."""
        return x_BTE

    def join(self, h_BTU: Any, picture: Any, training: bool) -> Any:
        """Lets the output see the picture: returns what the output layer reads (B, T, …)."""
        return h_BTU

    # --- the protocol -------------------------------------------------------------------------------------------

    def call(self, features: Any, tokens: Any, image: Any = None, training: bool = False) -> Any:
        """Returns logits (B, T, V) under teacher forcing.

        Args:
            features: (P, D) or (P, L, D).
            tokens: (B, T) ids; position t is what the decoder reads before it predicts word t.
            image: (B,) row of ``features`` for each caption; None when P = B and the rows match.
            training: Apply dropout.
        """
        picture = self.look(features, training)
        if image is not None:
            picture = ops.take(picture, image, axis=0)
        x = self.dropout(self.embedding(tokens), training=training)
        h, _ = self._run(self.read(x, picture), self.first(picture), training)
        return self._logits(self.join(h, picture, training), training)

    def start(self, features: Any) -> State:
        """Returns the state before the first word: a tuple of tensors with leading axis N = P."""
        picture = self.look(features, training=False)
        return (picture, *self.first(picture))

    def step(self, tokens: Any, state: State) -> tuple[Any, State]:
        """Reads one word a row (N,); returns the next word's logits (N, V) and the state after it."""
        picture, recurrent = state[0], list(state[1:])
        x = self.read(self.embedding(tokens)[:, None], picture)[:, 0]
        after: list[Any] = []
        for recurrence in self.recurrences:
            count = self._states_per_layer
            x, states = recurrence.cell(x, recurrent[len(after) : len(after) + count])
            after += list(states) if isinstance(states, list | tuple) else [states]
        logits = self._logits(self.join(x[:, None], picture, False), False)[:, 0]
        return logits, (picture, *after)

    # --- inside -------------------------------------------------------------------------------------------------

    @property
    def _states_per_layer(self) -> int:
        return 2 if self.config.cell == "lstm" else 1

    @property
    def _state_count(self) -> int:
        return self._states_per_layer * self.config.layers

    def _run(self, x: Any, state: list[Any], training: bool) -> tuple[Any, list[Any]]:
        after: list[Any] = []
        count = self._states_per_layer
        for index, recurrence in enumerate(self.recurrences):
            if index:
                x = self.dropout(x, training=training)
            x, *states = recurrence(x, initial_state=state[index * count : (index + 1) * count], training=training)
            after += states
        return x, after

    def _logits(self, h: Any, training: bool) -> Any:
        h = self.dropout(h, training=training)
        if not self.config.tie_embeddings:
            return self.output_layer(h)
        return ops.matmul(self.to_embedding(h), ops.transpose(self.embedding.embeddings)) + self.bias


def _pooled(features: Any) -> Any:
    return features if len(features.shape) == 2 else ops.mean(features, axis=1)


def _constant(values: np.ndarray) -> Any:
    return lambda shape, dtype=None: ops.reshape(ops.convert_to_tensor(values, dtype=dtype), shape)
