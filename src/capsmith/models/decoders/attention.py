"""Decoders that attend to image regions at every word.

P images · N rows (B captions) · T words · L regions · U units · E word channels.

All three run one recurrence over the sentence in which every step attends to the regions. They differ in the state
that forms the query, and in the layer that reads the context.
"""

from abc import ABC, abstractmethod
from functools import partial
from typing import Any

import keras
from keras import ops

from capsmith.core.errors import ConfigError
from capsmith.models.decoders.attention_layers import build_attention
from capsmith.models.decoders.base import EncodedImage, RecurrentDecoder, pooled
from capsmith.models.decoders.config import AttendConfig, AttentionConfig, AttentionOnAttentionConfig
from capsmith.models.decoders.dense import Dense
from capsmith.models.decoders.recurrence import Recurrence, build_recurrence, unroll


class AttentiveDecoder(RecurrentDecoder, ABC):
    """Base class. The recurrent state ends with the context (N, …) and the attention weights (N, L).

    A subclass defines its recurrences in ``stack``, and the computation for one word in ``advance``.
    """

    n_static = 3
    attends = True
    config: AttendConfig

    def __init__(self, config: AttendConfig, vocabulary_size: int, **kwargs: Any) -> None:
        super().__init__(config, vocabulary_size, step_input_size=config.units, **kwargs)
        self.regions = Dense(config.units, activation="relu", name="regions")
        self.attend = build_attention(config)

    def encode_image(self, features: Any, training: bool) -> EncodedImage:
        """Returns the mean of the regions (P, U), and their encoding for the attention."""
        if len(features.shape) != 3:
            raise ConfigError(f"decoder.type {self.config.type} attends to regions: set encoder.output to grid")
        regions = self.regions(self.dropout(features, training=training))
        return (pooled(regions), *self.attend.encode_regions(regions))

    def expand(self, image: EncodedImage, rows: Any) -> EncodedImage:
        """Repeats the mean for every row; the regions are stored once for each image."""
        return (*super().expand(image[:1], rows), *image[1:])

    def initial_state(self, image: EncodedImage) -> list[Any]:
        """Returns zeros for the recurrences, the context and the attention weights."""
        mean = image[0]
        state = [tensor for layer in self.recurrences for tensor in layer.zero(mean)]
        rows, regions = ops.shape(mean)[0], self._regions_of(image)
        return [*state, ops.zeros((rows, self.config.answer_width), mean.dtype), ops.zeros((rows, regions), mean.dtype)]

    @abstractmethod
    def advance(self, image: EncodedImage, z: Any, state: list[Any]) -> list[Any]:
        """Advances by one word: maps the input part of the gates (N, G) and the state to the next state."""

    @abstractmethod
    def read_out(self, state: list[Any]) -> Any:
        """Returns the input of the output layer (…, C) from the state of one word (N, …) or a sentence (B, T, …)."""

    def sentence(self, x_BTE: Any, mask_BT: Any, image: EncodedImage, training: bool) -> Any:
        """Runs the recurrence along the sentence."""
        z = self.recurrences[0].inputs(x_BTE, self.step_input(image))
        path = unroll(partial(self.advance, image), z, self.initial_state(image))
        self._add_attention_loss(path[-1], mask_BT, training)
        return self.read_out(path)

    def word(self, x_NE: Any, image: EncodedImage, state: list[Any]) -> tuple[Any, list[Any]]:
        """Advances by one word."""
        after = self.advance(image, self.recurrences[0].inputs(x_NE, self.step_input(image)), state)
        return self.read_out(after), after

    def step_input(self, image: EncodedImage) -> Any:
        """Returns the mean of the regions (N, U), an input of every step."""
        return image[0]

    def _stacked(self, z: Any, state: list[Any]) -> list[Any]:
        """Advances the stacked recurrences by one word; ``z`` is the input part of the first one's gates."""
        after: list[Any] = []
        for layer in self.recurrences:
            z = layer.inputs(after[-layer.states]) if after else z
            after += layer.step(z, state[len(after) : len(after) + layer.states])
        return after

    def _add_attention_loss(self, weights_BTL: Any, mask_BT: Any, training: bool) -> None:
        if training and self.config.doubly_stochastic:
            self.add_loss(self.config.doubly_stochastic * _doubly_stochastic_loss(weights_BTL, mask_BT))

    def _from_context(self, name: str) -> keras.layers.Layer:
        """Returns a layer that maps a vector to the gates of the first recurrence."""
        return Dense(self.recurrences[0].gates * self.config.units, use_bias=False, name=name)

    def _regions_of(self, image: EncodedImage) -> int:
        last = image[-1].shape
        return int(last[2] if len(last) == 4 else last[1])


class Attention(AttentiveDecoder):
    """The state before a word is the query, and the recurrence reads the context (Xu et al. 2015, "soft" attention)."""

    def __init__(self, config: AttentionConfig, vocabulary_size: int, **kwargs: Any) -> None:
        super().__init__(config, vocabulary_size, **kwargs)
        self.own = sum(layer.states for layer in self.recurrences)
        self.to_state = Dense(self.own * config.units, activation="tanh", name="to_state")
        self.context = self._from_context("context")
        self.gate = Dense(1, activation="sigmoid", name="gate") if config.gate else None
        self.mix = Dense(config.units, activation="tanh", name="mix")

    def initial_state(self, image: EncodedImage) -> list[Any]:
        """Starts from the mean of the regions (Xu et al. 2015, sec. 3.1.2)."""
        own = ops.split(self.to_state(image[0]), self.own, axis=-1)
        return [*own, *super().initial_state(image)[-2:]]

    def advance(self, image: EncodedImage, z: Any, state: list[Any]) -> list[Any]:
        """Attends, then reads the word and the context."""
        query = state[self.own - self.recurrences[-1].states]  # the top layer's h
        context, weights = self.attend(query, *image[1:])
        if self.gate is not None:
            context = context * self.gate(query)
        return [*self._stacked(z + self.context(context), state), context, weights]

    def read_out(self, state: list[Any]) -> Any:
        """Combines the top layer and the context (deep output, Xu et al. 2015, eq. 7)."""
        top = state[self.own - self.recurrences[-1].states]
        return self.mix(ops.concatenate([top, state[-2]], axis=-1))


class UpDown(AttentiveDecoder):
    """The first recurrence forms the query, the second reads the context (Anderson et al. 2018, sec. 3.2)."""

    def __init__(self, config: AttendConfig, vocabulary_size: int, **kwargs: Any) -> None:
        super().__init__(config, vocabulary_size, **kwargs)
        self.from_language = self._from_context("from_language")

    def stack(self, channels: int) -> list[Recurrence]:
        """Creates the attention LSTM and the language LSTM."""
        width = self.config.answer_width
        return [
            build_recurrence(self.config.cell, self.config.units, size, self.config.layer_norm, name=name)
            for name, size in (("asking", channels), ("language", width + self.config.units))
        ]

    def advance(self, image: EncodedImage, z: Any, state: list[Any]) -> list[Any]:
        """Reads the word, attends, then reads the context."""
        attention, language = self.recurrences
        before = state[attention.states : -2]
        first = attention.step(z + self.from_language(before[0]), state[: attention.states])
        context, weights = self.attend(first[0], *image[1:])
        second = language.step(language.inputs(ops.concatenate([context, first[0]], axis=-1)), before)
        return [*first, *second, context, weights]

    def read_out(self, state: list[Any]) -> Any:
        """Returns the output of the language LSTM."""
        return state[self.recurrences[0].states]


class AttentionOnAttention(AttentiveDecoder):
    """The state after a word is the query, and the refined context is the output (Huang et al. 2019, sec. 3.3).

    Without ``input_feeding`` the recurrence does not read contexts: all words of a sentence attend in one call (as in
    Lu et al. 2017).
    """

    config: AttentionOnAttentionConfig

    def __init__(self, config: AttentionOnAttentionConfig, vocabulary_size: int, **kwargs: Any) -> None:
        super().__init__(config, vocabulary_size, **kwargs)
        self.from_answer = self._from_context("from_answer") if config.input_feeding else None

    def sentence(self, x_BTE: Any, mask_BT: Any, image: EncodedImage, training: bool) -> Any:
        """Runs the recurrence along the sentence, and attends at each step or after the last."""
        if self.from_answer is not None:
            return super().sentence(x_BTE, mask_BT, image, training)
        h, step_input = x_BTE, self.step_input(image)
        for layer in self.recurrences:
            h, step_input = layer.sentence(layer.inputs(h, step_input), layer.zero(image[0])), None
        rows, words = ops.shape(h)[0], ops.shape(h)[1]
        context, weights = self.attend(ops.reshape(h, (-1, self.config.units)), *image[1:])
        self._add_attention_loss(ops.reshape(weights, (rows, words, -1)), mask_BT, training)
        return ops.reshape(context, (rows, words, self.config.answer_width))

    def advance(self, image: EncodedImage, z: Any, state: list[Any]) -> list[Any]:
        """Reads the word, and with input feeding the previous context; then attends."""
        if self.from_answer is not None:
            z = z + self.from_answer(state[-2])
        after = self._stacked(z, state)
        context, weights = self.attend(after[-self.recurrences[-1].states], *image[1:])
        return [*after, context, weights]

    def read_out(self, state: list[Any]) -> Any:
        """Returns the context."""
        return state[-2]


def _doubly_stochastic_loss(weights_BTL: Any, mask_BT: Any) -> Any:
    """Doubly stochastic attention loss (Xu et al. 2015, eq. 14), mean over captions."""
    mask = ops.cast(mask_BT, weights_BTL.dtype)
    total = ops.sum(weights_BTL * mask[:, :, None], axis=1)
    real = mask[:, 0]  # a row without a caption is padding from its first word
    return ops.sum(ops.sum((1.0 - total) ** 2, axis=-1) * real) / ops.maximum(ops.sum(real), 1.0)
