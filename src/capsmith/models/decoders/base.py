"""The decoder protocol, and the recurrent decoder on which most decoders are built.

P images · B captions · N rows of a search · T tokens · E word channels · U units · V vocabulary.

``decoder(features_P, tokens_BT)`` returns the logits of complete captions in one call (teacher forcing). ``start`` and
``step`` return the same logits one word at a time. The two agree at every position. B and N are multiples of P, and the
rows of one image are adjacent: an image is encoded and stored once, however many rows read it.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from capsmith.data.text.vocabulary import END, PAD, UNK
from capsmith.models.decoders.config import DecoderConfig
from capsmith.models.decoders.dense import Dense, product
from capsmith.models.decoders.feature_scaling import FeatureScaling, SpatialDropout
from capsmith.models.decoders.recurrence import Recurrence, build_recurrence

State = tuple[Any, ...]
EncodedImage = tuple[Any, ...]
DropoutMasks = tuple[Any, Any]
"""Two arrays (P, C) of multipliers for the captions of an image, the same at every word: one for the word vectors, one
for the input of the output layer (see the decoder's ``widths``). 0 drops a channel."""


class RecurrentDecoder(keras.layers.Layer):
    """A recurrent language model; subclasses define where the image enters.

    A subclass may override four methods: ``encode_image`` (features to the encoded image), ``initial_state`` (encoded
    image to initial state), ``step_input`` (encoded image to an additional input of every step) and ``fuse`` (combines
    encoded image and recurrent output); or ``sentence`` and ``word`` together if its recurrence has another shape.

    Args:
        config: The decoder's settings.
        vocabulary_size: V, including special tokens.
        vectors: Initial word vectors (V, E); random by default.
        log_frequencies: Log word probabilities (V,), the initial output bias; zero by default.
        step_input_size: Channels of the tensor that ``step_input`` returns.
    """

    def __init__(
        self,
        config: DecoderConfig,
        vocabulary_size: int,
        vectors: np.ndarray | None = None,
        log_frequencies: np.ndarray | None = None,
        step_input_size: int = 0,
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
        self.standardise = FeatureScaling(name="standardise") if config.standardise else None
        self.channel_dropout = SpatialDropout(config.spatial_dropout) if config.spatial_dropout else None
        self.dropout = keras.layers.Dropout(config.dropout)
        along = (None, 1, None) if config.variational else None  # (B, T, C): one mask for all words
        self.word_dropout = keras.layers.Dropout(config.dropout, noise_shape=along, name="word_dropout")
        self.chance = keras.random.SeedGenerator() if config.word_dropout else None
        self.recurrences = self.stack(config.embedding.size + step_input_size)
        bias = "zeros" if log_frequencies is None else _constant(log_frequencies)
        if config.tie_embeddings:
            self.to_embedding = Dense(config.embedding.size, name="to_embedding")
            self.bias = self.add_weight(shape=(vocabulary_size,), initializer=bias, name="output_bias")
        else:
            self.output_layer = Dense(vocabulary_size, bias_initializer=bias, name="output")

    def stack(self, channels: int) -> list[Recurrence]:
        """Creates the recurrent layers; the first one has ``channels`` input channels."""
        config = self.config
        sizes = [channels] + [config.units] * (config.layers - 1)
        return [
            build_recurrence(config.cell, config.units, size, config.layer_norm, name=f"cell_{index}")
            for index, size in enumerate(sizes)
        ]

    # --- where the image enters -------------------------------------------------------------------------------

    def encode_image(self, features: Any, training: bool) -> EncodedImage:
        """Encodes features (P, D) or (P, L, D) into the tensors (P, …) that all steps share."""
        return (self.dropout(pooled(features), training=training),)

    def expand(self, image: EncodedImage, rows: Any) -> EncodedImage:
        """Repeats the encoded images (P, …) for their rows: (N, …)."""
        return tuple(_repeated(tensor, rows) for tensor in image)

    def initial_state(self, image: EncodedImage) -> list[Any]:
        """Returns the initial recurrent state for encoded images (N, …): one flat list over all layers."""
        return [tensor for layer in self.recurrences for tensor in layer.zero(image[0])]

    def step_input(self, image: EncodedImage) -> Any:
        """Returns an additional input (N, C) of every step, or None."""
        return None

    def fuse(self, h_BTU: Any, image: EncodedImage, training: bool) -> Any:
        """Combines recurrent output (B, T, U) and encoded image into the input of the output layer (B, T, …)."""
        return h_BTU

    # --- the recurrence -----------------------------------------------------------------------------------------

    def sentence(self, x_BTE: Any, mask_BT: Any, image: EncodedImage, training: bool) -> Any:
        """Returns the input of the output layer (B, T, …) for word vectors (B, T, E); the mask is false at padding."""
        state, x, step_input = self.initial_state(image), x_BTE, self.step_input(image)
        for index, layer in enumerate(self.recurrences):
            if index:
                x, step_input = self.word_dropout(x, training=training), None
            own = state[index * layer.states : (index + 1) * layer.states]
            x = layer.sentence(layer.inputs(x, step_input), own)
        return self.fuse(x, image, training)

    def word(self, x_NE: Any, image: EncodedImage, state: list[Any]) -> tuple[Any, list[Any]]:
        """Returns the input of the output layer (N, …) for one word vector per row, and the state after it."""
        x, step_input = x_NE, self.step_input(image)
        after: list[Any] = []
        for layer in self.recurrences:
            now = layer.step(layer.inputs(x, step_input), state[len(after) : len(after) + layer.states])
            x, step_input = now[0], None
            after += now
        return self.fuse(x[:, None], image, False)[:, 0], after

    # --- the protocol -------------------------------------------------------------------------------------------

    def call(
        self,
        features: Any,
        tokens: Any,
        image: Any = None,
        training: bool = False,
        dropout_masks: DropoutMasks | None = None,
    ) -> Any:
        """Returns logits (B, T, V) under teacher forcing.

        Args:
            features: (P, D) or (P, L, D).
            tokens: (B, T) ids; at position t the token that is read before word t is predicted.
            image: (B,) row of ``features`` for each caption; None if the B / P captions of each image are adjacent.
            training: Apply dropout.
            dropout_masks: Fixed masks that replace all random dropout.
        """
        training = training and dropout_masks is None
        encoded = self.encode_image(self._scaled(features, training), training)
        if image is not None:
            encoded = tuple(ops.take(tensor, image, axis=0) for tensor in encoded)
        read = self._hide(tokens) if training and self.chance is not None else tokens
        rows, (words, last) = ops.shape(tokens)[0], dropout_masks or (None, None)
        x = _masked(self.word_dropout(self.embedding(read), training=training), words, rows)
        h = self.sentence(x, ops.not_equal(tokens, PAD), self.expand(encoded, rows), training)
        return self._logits(_masked(h, last, rows), training)

    def start(self, features: Any) -> State:
        """Returns the state before the first word: a tuple of tensors with leading axis P.

        The first ``n_static`` belong to the images and keep this axis at every step; the others belong to the rows.
        """
        features = ops.cast(features, self.compute_dtype)
        image = self.encode_image(self._scaled(features, False), training=False)
        return (*image, *self.initial_state(image))

    def step(self, tokens: Any, state: State, dropout_masks: DropoutMasks | None = None) -> tuple[Any, State]:
        """Reads one word per row (N,); returns the logits of the next word (N, V) and the state after it.

        N is a multiple of P, and the rows of an image are adjacent. ``dropout_masks`` are those of ``call``.
        """
        rows, (words, last) = ops.shape(tokens)[0], dropout_masks or (None, None)
        image, recurrent = state[: self.n_static], list(state[self.n_static :])
        h, after = self.word(_masked(self.embedding(tokens), words, rows), self.expand(image, rows), recurrent)
        return self._logits(_masked(h, last, rows), False), (*image, *after)

    n_static = 1
    """Number of tensors that ``encode_image`` returns. They come first in the state, and no step changes them."""
    attends = False
    """Whether the last tensor of the state holds the attention weights of the last word, (N, L)."""

    @property
    def widths(self) -> tuple[int, int]:
        """Channels of a word vector, and of the input of the output layer; the decoder must be built."""
        last = self.to_embedding if self.config.tie_embeddings else self.output_layer
        return self.config.embedding.size, last.kernel.shape[0]

    @property
    def by_word(self) -> list[tuple[Any, int]]:
        """The weights with one entry for each word, and the axis of the words; the decoder must be built."""
        output = (
            [(self.bias, 0)]
            if self.config.tie_embeddings
            else [(self.output_layer.kernel, 1), (self.output_layer.bias, 0)]
        )
        return [(self.embedding.embeddings, 0), *output]

    # --- inside -------------------------------------------------------------------------------------------------

    def _scaled(self, features: Any, training: bool) -> Any:
        if self.standardise is not None:
            features = self.standardise(features)
        return features if self.channel_dropout is None else self.channel_dropout(features, training=training)

    def _hide(self, tokens_BT: Any) -> Any:
        """Replaces random words by ``<unk>``, but never padding, start or end."""
        hidden = keras.random.uniform(ops.shape(tokens_BT), seed=self.chance) < self.config.word_dropout
        return ops.where(hidden & (tokens_BT > END), UNK, tokens_BT)

    def _logits(self, h: Any, training: bool) -> Any:
        if training:
            h = self.word_dropout(h, training=training)
        if not self.config.tie_embeddings:
            return self.output_layer(h)
        return product(self.to_embedding(h), ops.transpose(self.embedding.embeddings), self.bias)


def pooled(features: Any) -> Any:
    """Returns the mean over the regions of (P, L, D); (P, D) is returned unchanged."""
    return features if len(features.shape) == 2 else ops.mean(features, axis=1)


def _repeated(x_PC: Any, rows: Any) -> Any:
    images = ops.shape(x_PC)[0]
    each = ops.broadcast_to(x_PC[:, None], (images, rows // images, x_PC.shape[-1]))
    return ops.reshape(each, (-1, x_PC.shape[-1]))


def _masked(x: Any, mask_PC: Any, rows: Any) -> Any:
    """Multiplies the channels of rows (N, C) or sentences (B, T, C) by their image's mask; None leaves them."""
    if mask_PC is None:
        return x
    mask = ops.cast(_repeated(mask_PC, rows), x.dtype)
    return x * (mask[:, None] if len(x.shape) == 3 else mask)


def _constant(values: np.ndarray) -> Any:
    return lambda shape, dtype=None: ops.reshape(ops.convert_to_tensor(values, dtype=dtype), shape)
