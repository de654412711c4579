"""The protocol that every decoder speaks, and the recurrent decoder that most are built from.

P images · B captions · N rows of a search · T tokens · E word channels · U units · V vocabulary.

``decoder(features_P, tokens_BT)`` gives the logits of the whole sentence in one call (teacher forcing); ``start`` and
``step`` give the same logits one word at a time. The two agree at every position. B and N are multiples of P, and the
rows of one image stand together, so that an image is kept once however many rows read it.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from capsmith.data.text.vocabulary import END, PAD, UNK
from capsmith.models.decoders.config import DecoderConfig
from capsmith.models.decoders.dense import Dense, product
from capsmith.models.decoders.feature_scaling import ChannelDropout, Standardise
from capsmith.models.decoders.recurrence import Recurrence, build_recurrence

State = tuple[Any, ...]
EncodedImage = tuple[Any, ...]
Shown = tuple[Any, Any]
"""Multipliers (P, C) of an image's captions, the same at every word: of the word vectors, and of what the output layer
reads (the decoder's ``widths``). 0 hides a channel."""


class RecurrentDecoder(keras.layers.Layer):
    """Words through a recurrent stack to logits; subclasses say where the image enters.

    A subclass may override four places: ``look`` (features to what is kept of an image), ``first`` (image to
    initial state), ``beside`` (image beside the words) and ``join`` (image after the recurrence); or ``sentence``
    and ``word`` together, when its recurrence is of another shape.

    Args:
        config: The decoder's settings.
        vocabulary_size: V, specials included.
        vectors: Word vectors (V, E) to start from; None starts at random.
        log_frequencies: Log word probabilities (V,) that the output bias starts from; None starts at zero.
        beside: Channels of what ``beside`` returns.
    """

    def __init__(
        self,
        config: DecoderConfig,
        vocabulary_size: int,
        vectors: np.ndarray | None = None,
        log_frequencies: np.ndarray | None = None,
        beside: int = 0,
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
        self.standardise = Standardise(name="standardise") if config.standardise else None
        self.channel_dropout = ChannelDropout(config.channel_dropout) if config.channel_dropout else None
        self.dropout = keras.layers.Dropout(config.dropout)
        along = (None, 1, None) if config.variational else None  # (B, T, C): one mask for all words
        self.word_dropout = keras.layers.Dropout(config.dropout, noise_shape=along, name="word_dropout")
        self.chance = keras.random.SeedGenerator() if config.word_dropout else None
        self.recurrences = self.stack(config.embedding.size + beside)
        bias = "zeros" if log_frequencies is None else _constant(log_frequencies)
        if config.tie_embeddings:
            self.to_embedding = Dense(config.embedding.size, name="to_embedding")
            self.bias = self.add_weight(shape=(vocabulary_size,), initializer=bias, name="output_bias")
        else:
            self.output_layer = Dense(vocabulary_size, bias_initializer=bias, name="output")

    def stack(self, channels: int) -> list[Recurrence]:
        """Makes the recurrent layers; the first takes so many channels."""
        config = self.config
        sizes = [channels] + [config.units] * (config.layers - 1)
        return [
            build_recurrence(config.cell, config.units, size, config.layer_norm, name=f"cell_{index}")
            for index, size in enumerate(sizes)
        ]

    # --- where the image enters -------------------------------------------------------------------------------

    def look(self, features: Any, training: bool) -> EncodedImage:
        """Maps features (P, D) or (P, L, D) to what the decoder keeps of an image: tensors (P, …)."""
        return (self.dropout(pooled(features), training=training),)

    def spread(self, image: EncodedImage, rows: Any) -> EncodedImage:
        """Repeats what is kept of each image (P, …) for its rows: (N, …)."""
        return tuple(_repeated(tensor, rows) for tensor in image)

    def first(self, image: EncodedImage) -> list[Any]:
        """Returns the initial recurrent state from the images (N, …): one flat list over all layers."""
        return [tensor for layer in self.recurrences for tensor in layer.zero(image[0])]

    def beside(self, image: EncodedImage) -> Any:
        """Returns what stands beside every word (N, C) for the recurrence to see, or None."""
        return None

    def join(self, h_BTU: Any, image: EncodedImage, training: bool) -> Any:
        """Lets the output see the image: returns what the output layer reads (B, T, …)."""
        return h_BTU

    # --- the recurrence -----------------------------------------------------------------------------------------

    def sentence(self, x_BTE: Any, mask_BT: Any, image: EncodedImage, training: bool) -> Any:
        """Returns what the output layer reads (B, T, …) for word vectors (B, T, E); the mask says which are real."""
        state, x, beside = self.first(image), x_BTE, self.beside(image)
        for index, layer in enumerate(self.recurrences):
            if index:
                x, beside = self.word_dropout(x, training=training), None
            own = state[index * layer.states : (index + 1) * layer.states]
            x = layer.sentence(layer.inputs(x, beside), own)
        return self.join(x, image, training)

    def word(self, x_NE: Any, image: EncodedImage, state: list[Any]) -> tuple[Any, list[Any]]:
        """Returns what the output layer reads (N, …) for one word vector a row, and the state after it."""
        x, beside = x_NE, self.beside(image)
        after: list[Any] = []
        for layer in self.recurrences:
            now = layer.step(layer.inputs(x, beside), state[len(after) : len(after) + layer.states])
            x, beside = now[0], None
            after += now
        return self.join(x[:, None], image, False)[:, 0], after

    # --- the protocol -------------------------------------------------------------------------------------------

    def call(
        self, features: Any, tokens: Any, image: Any = None, training: bool = False, shown: Shown | None = None
    ) -> Any:
        """Returns logits (B, T, V) under teacher forcing.

        Args:
            features: (P, D) or (P, L, D).
            tokens: (B, T) ids; position t is what the decoder reads before it predicts word t.
            image: (B,) row of ``features`` for each caption; None when an image's B / P captions stand together.
            training: Apply dropout.
            shown: In the place of all that ``training`` does, what is shown of each image's captions: ``Shown``.
        """
        training = training and shown is None
        encoded = self.look(self._scaled(features, training), training)
        if image is not None:
            encoded = tuple(ops.take(tensor, image, axis=0) for tensor in encoded)
        read = self._hide(tokens) if training and self.chance is not None else tokens
        rows, (words, last) = ops.shape(tokens)[0], shown or (None, None)
        x = _masked(self.word_dropout(self.embedding(read), training=training), words, rows)
        h = self.sentence(x, ops.not_equal(tokens, PAD), self.spread(encoded, rows), training)
        return self._logits(_masked(h, last, rows), training)

    def start(self, features: Any) -> State:
        """Returns the state before the first word: a tuple of tensors with leading axis P.

        The first ``kept`` belong to the images and stay (P, …) at every step; the others belong to the rows.
        """
        features = ops.cast(features, self.compute_dtype)
        image = self.look(self._scaled(features, False), training=False)
        return (*image, *self.first(image))

    def step(self, tokens: Any, state: State, shown: Shown | None = None) -> tuple[Any, State]:
        """Reads one word a row (N,); returns the next word's logits (N, V) and the state after it.

        N is a multiple of P, and the rows of an image stand together: its captions in a search. ``shown`` is that of
        ``call``.
        """
        rows, (words, last) = ops.shape(tokens)[0], shown or (None, None)
        image, recurrent = state[: self.kept], list(state[self.kept :])
        h, after = self.word(_masked(self.embedding(tokens), words, rows), self.spread(image, rows), recurrent)
        return self._logits(_masked(h, last, rows), False), (*image, *after)

    kept = 1
    """How many tensors ``look`` returns: they stand first in the state, and no step changes them."""
    attends = False
    """Whether the state's last tensor says how much each region counted for the last word, (N, L)."""

    @property
    def widths(self) -> tuple[int, int]:
        """Channels of a word vector, and of what the output layer reads, of a built decoder."""
        last = self.to_embedding if self.config.tie_embeddings else self.output_layer
        return self.config.embedding.size, last.kernel.shape[0]

    @property
    def by_word(self) -> list[tuple[Any, int]]:
        """The weights of a built decoder that have an entry for every word, and the axis along which."""
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
        """Replaces some words by ``<unk>``; padding, start and end stay."""
        hidden = keras.random.uniform(ops.shape(tokens_BT), seed=self.chance) < self.config.word_dropout
        return ops.where(hidden & (tokens_BT > END), UNK, tokens_BT)

    def _logits(self, h: Any, training: bool) -> Any:
        if training:
            h = self.word_dropout(h, training=training)
        if not self.config.tie_embeddings:
            return self.output_layer(h)
        return product(self.to_embedding(h), ops.transpose(self.embedding.embeddings), self.bias)


def pooled(features: Any) -> Any:
    """Returns the mean over the regions of (P, L, D), or (P, D) as it is."""
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
