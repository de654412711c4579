"""Decoders that look at an image anew for every word.

P images · N rows (B captions) · T words · L regions · U units · E word channels.

All three keep one recurrence over the sentence, in which a step attends to the regions; they differ in who asks and
who reads the answer.
"""

from abc import ABC, abstractmethod
from functools import partial
from typing import Any

import keras
from keras import ops

from capsmith.core.errors import ConfigError
from capsmith.models.decoders.attention_layers import build_attend
from capsmith.models.decoders.base import EncodedImage, RecurrentDecoder, pooled
from capsmith.models.decoders.config import AttendConfig, AttentionConfig, AttentionOnAttentionConfig
from capsmith.models.decoders.dense import Dense
from capsmith.models.decoders.recurrence import Recurrence, build_recurrence, unroll


class AttentiveDecoder(RecurrentDecoder, ABC):
    """What they share. The recurrent state ends with the context (N, …) and the attention weights (N, L).

    A subclass says in ``stack`` which recurrences it has, and in ``advance`` how a word passes through them.
    """

    kept = 3
    attends = True
    config: AttendConfig

    def __init__(self, config: AttendConfig, vocabulary_size: int, **kwargs: Any) -> None:
        super().__init__(config, vocabulary_size, beside=config.units, **kwargs)
        self.regions = Dense(config.units, activation="relu", name="regions")
        self.attend = build_attend(config)

    def look(self, features: Any, training: bool) -> EncodedImage:
        """Returns the regions' mean (P, U), and the attention's memory of them."""
        if len(features.shape) != 3:
            raise ConfigError(f"decoder.type {self.config.type} attends to regions: set encoder.output to grid")
        regions = self.regions(self.dropout(features, training=training))
        return (pooled(regions), *self.attend.memory(regions))

    def spread(self, image: EncodedImage, rows: Any) -> EncodedImage:
        """Repeats the mean for every row; the regions stay one copy an image."""
        return (*super().spread(image[:1], rows), *image[1:])

    def first(self, image: EncodedImage) -> list[Any]:
        """Returns zeros everywhere: no word was read, nothing was looked at."""
        mean = image[0]
        state = [tensor for layer in self.recurrences for tensor in layer.zero(mean)]
        rows, regions = ops.shape(mean)[0], self._regions_of(image)
        return [*state, ops.zeros((rows, self.config.answer_width), mean.dtype), ops.zeros((rows, regions), mean.dtype)]

    @abstractmethod
    def advance(self, image: EncodedImage, z: Any, state: list[Any]) -> list[Any]:
        """Goes one word further: (N, G) from the word, and the state before, to the state after."""

    @abstractmethod
    def read_out(self, state: list[Any]) -> Any:
        """Returns what the output layer reads: (…, C) from the state, one word's (N, …) or a sentence's (B, T, …)."""

    def sentence(self, x_BTE: Any, mask_BT: Any, image: EncodedImage, training: bool) -> Any:
        """Runs the recurrence along the sentence."""
        z = self.recurrences[0].inputs(x_BTE, self.beside(image))
        path = unroll(partial(self.advance, image), z, self.first(image))
        self._add_neglect(path[-1], mask_BT, training)
        return self.read_out(path)

    def word(self, x_NE: Any, image: EncodedImage, state: list[Any]) -> tuple[Any, list[Any]]:
        """Goes one word further."""
        after = self.advance(image, self.recurrences[0].inputs(x_NE, self.beside(image)), state)
        return self.read_out(after), after

    def beside(self, image: EncodedImage) -> Any:
        """Returns the regions' mean (N, U), which stands beside every word."""
        return image[0]

    def _stacked(self, z: Any, state: list[Any]) -> list[Any]:
        """Takes one step through all recurrences, one on the other; the first one's inputs are given."""
        after: list[Any] = []
        for layer in self.recurrences:
            z = layer.inputs(after[-layer.states]) if after else z
            after += layer.step(z, state[len(after) : len(after) + layer.states])
        return after

    def _add_neglect(self, weights_BTL: Any, mask_BT: Any, training: bool) -> None:
        if training and self.config.doubly_stochastic:
            self.add_loss(self.config.doubly_stochastic * _neglect(weights_BTL, mask_BT))

    def _from_context(self, name: str) -> keras.layers.Layer:
        """Returns the product that brings a vector into the first recurrence's gates."""
        return Dense(self.recurrences[0].gates * self.config.units, use_bias=False, name=name)

    def _regions_of(self, image: EncodedImage) -> int:
        last = image[-1].shape
        return int(last[2] if len(last) == 4 else last[1])


class Attention(AttentiveDecoder):
    """The state before a word asks, and the recurrence reads the answer (Xu et al. 2015, "soft" attention)."""

    def __init__(self, config: AttentionConfig, vocabulary_size: int, **kwargs: Any) -> None:
        super().__init__(config, vocabulary_size, **kwargs)
        self.own = sum(layer.states for layer in self.recurrences)
        self.to_state = Dense(self.own * config.units, activation="tanh", name="to_state")
        self.context = self._from_context("context")
        self.gate = Dense(1, activation="sigmoid", name="gate") if config.gate else None
        self.mix = Dense(config.units, activation="tanh", name="mix")

    def first(self, image: EncodedImage) -> list[Any]:
        """Starts from the regions' mean (Xu et al. 2015, sec. 3.1.2)."""
        begun = ops.split(self.to_state(image[0]), self.own, axis=-1)
        return [*begun, *super().first(image)[-2:]]

    def advance(self, image: EncodedImage, z: Any, state: list[Any]) -> list[Any]:
        """Attends, then reads word and context."""
        asking = state[self.own - self.recurrences[-1].states]  # the top layer's h
        context, weights = self.attend(asking, *image[1:])
        if self.gate is not None:
            context = context * self.gate(asking)
        return [*self._stacked(z + self.context(context), state), context, weights]

    def read_out(self, state: list[Any]) -> Any:
        """Returns a mix of the top layer and the context (the deep output of Xu et al. 2015, eq. 7)."""
        top = state[self.own - self.recurrences[-1].states]
        return self.mix(ops.concatenate([top, state[-2]], axis=-1))


class UpDown(AttentiveDecoder):
    """One recurrence asks, a second reads the answer (Anderson et al. 2018, sec. 3.2)."""

    def __init__(self, config: AttendConfig, vocabulary_size: int, **kwargs: Any) -> None:
        super().__init__(config, vocabulary_size, **kwargs)
        self.from_language = self._from_context("from_language")

    def stack(self, channels: int) -> list[Recurrence]:
        """Makes the attention recurrence and the language recurrence."""
        width = self.config.answer_width
        return [
            build_recurrence(self.config.cell, self.config.units, size, self.config.layer_norm, name=name)
            for name, size in (("asking", channels), ("language", width + self.config.units))
        ]

    def advance(self, image: EncodedImage, z: Any, state: list[Any]) -> list[Any]:
        """Reads the word, attends, and takes in what was found."""
        asking, language = self.recurrences
        before = state[asking.states : -2]
        first = asking.step(z + self.from_language(before[0]), state[: asking.states])
        context, weights = self.attend(first[0], *image[1:])
        second = language.step(language.inputs(ops.concatenate([context, first[0]], axis=-1)), before)
        return [*first, *second, context, weights]

    def read_out(self, state: list[Any]) -> Any:
        """Returns the language recurrence's output."""
        return state[self.recurrences[0].states]


class AttentionOnAttention(AttentiveDecoder):
    """The state after a word asks, and the refined answer is the output (Huang et al. 2019, sec. 3.3).

    Without ``feedback`` no answer is read again: all words of a sentence then ask at once (as in Lu et al. 2017).
    """

    config: AttentionOnAttentionConfig

    def __init__(self, config: AttentionOnAttentionConfig, vocabulary_size: int, **kwargs: Any) -> None:
        super().__init__(config, vocabulary_size, **kwargs)
        self.from_answer = self._from_context("from_answer") if config.feedback else None

    def sentence(self, x_BTE: Any, mask_BT: Any, image: EncodedImage, training: bool) -> Any:
        """Runs the recurrence along the sentence, and asks on the way or afterwards."""
        if self.from_answer is not None:
            return super().sentence(x_BTE, mask_BT, image, training)
        h, beside = x_BTE, self.beside(image)
        for layer in self.recurrences:
            h, beside = layer.sentence(layer.inputs(h, beside), layer.zero(image[0])), None
        rows, words = ops.shape(h)[0], ops.shape(h)[1]
        context, weights = self.attend(ops.reshape(h, (-1, self.config.units)), *image[1:])
        self._add_neglect(ops.reshape(weights, (rows, words, -1)), mask_BT, training)
        return ops.reshape(context, (rows, words, self.config.answer_width))

    def advance(self, image: EncodedImage, z: Any, state: list[Any]) -> list[Any]:
        """Reads the word, and the answer before where it is fed back; then attends."""
        if self.from_answer is not None:
            z = z + self.from_answer(state[-2])
        after = self._stacked(z, state)
        context, weights = self.attend(after[-self.recurrences[-1].states], *image[1:])
        return [*after, context, weights]

    def read_out(self, state: list[Any]) -> Any:
        """Returns the answer."""
        return state[-2]


def _neglect(weights_BTL: Any, mask_BT: Any) -> Any:
    """Mean over captions of how far each region's attention over the sentence is from 1 (Xu et al. 2015, eq. 14)."""
    mask = ops.cast(mask_BT, weights_BTL.dtype)
    total = ops.sum(weights_BTL * mask[:, :, None], axis=1)
    real = mask[:, 0]  # a row without a caption is padding from its first word
    return ops.sum(ops.sum((1.0 - total) ** 2, axis=-1) * real) / ops.maximum(ops.sum(real), 1.0)
