"""The inject decoders: the recurrence itself sees the picture.

``init`` starts from it, ``pre`` reads it as a word before the first (Show and Tell, Vinyals et al. 2015), ``par``
reads it beside every word. Names as in Tanti, Gatt and Camilleri 2018, fig. 2 (a)–(c).
"""

from typing import Any

import keras
from keras import ops

from capsmith.decoders.base import RecurrentDecoder
from capsmith.decoders.config import InjectConfig


class Inject(RecurrentDecoder):
    """A recurrent decoder conditioned on the picture."""

    def __init__(self, config: InjectConfig, vocabulary_size: int, **kwargs: Any) -> None:
        super().__init__(config, vocabulary_size, **kwargs)
        self.mode = config.mode
        if self.mode == "init":
            self.enter = keras.layers.Dense(self._state_count * config.units, activation="tanh", name="to_state")
        elif self.mode == "pre":
            self.enter = keras.layers.Dense(config.embedding.size, name="to_word")
        else:
            self.enter = keras.layers.Dense(config.units, activation="relu", name="beside_words")

    def look(self, features: Any, training: bool) -> Any:
        """Returns the first state (P, layers · states · U), a word (P, E), or what stands beside words (P, U)."""
        return self.enter(super().look(features, training))

    def first(self, picture: Any) -> list[Any]:
        """Returns the initial state of every layer."""
        if self.mode == "init":
            return list(ops.split(picture, self._state_count, axis=-1))
        state = super().first(picture)
        if self.mode == "pre":
            _, state = self._run(picture[:, None], state, training=False)
        return state

    def read(self, x_BTE: Any, picture: Any) -> Any:
        """Puts the picture beside every word in mode ``par``: (B, T, E + U)."""
        if self.mode != "par":
            return x_BTE
        beside = ops.repeat(picture[:, None], ops.shape(x_BTE)[1], axis=1)
        return ops.concatenate([x_BTE, beside], axis=-1)
