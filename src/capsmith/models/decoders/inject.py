"""The inject decoders: the recurrence itself sees the image.

``init`` starts from it, ``pre`` reads it as a word before the first (Show and Tell, Vinyals et al. 2015), ``par``
reads it beside every word. Names as in Tanti, Gatt and Camilleri 2018, fig. 2 (a)–(c).
"""

from typing import Any

from keras import ops

from capsmith.models.decoders.base import EncodedImage, RecurrentDecoder
from capsmith.models.decoders.config import InjectConfig
from capsmith.models.decoders.dense import Dense


class Inject(RecurrentDecoder):
    """A recurrent decoder conditioned on the image."""

    def __init__(self, config: InjectConfig, vocabulary_size: int, **kwargs: Any) -> None:
        self.mode = config.mode
        super().__init__(config, vocabulary_size, beside=config.units if self.mode == "par" else 0, **kwargs)
        if self.mode == "init":
            width = sum(layer.states for layer in self.recurrences) * config.units
            self.enter = Dense(width, activation="tanh", name="to_state")
        elif self.mode == "pre":
            self.enter = Dense(config.embedding.size, name="to_word")
        else:
            self.enter = Dense(config.units, activation="relu", name="beside_words")

    def look(self, features: Any, training: bool) -> EncodedImage:
        """Returns the first state (P, layers · states · U), a word (P, E), or what stands beside words (P, U)."""
        return (self.enter(super().look(features, training)[0]),)

    def first(self, image: EncodedImage) -> list[Any]:
        """Returns the initial state of every layer."""
        if self.mode == "init":
            return list(ops.split(image[0], image[0].shape[-1] // self.config.units, axis=-1))
        state = super().first(image)
        if self.mode == "pre":
            _, state = self.word(image[0], image, state)
        return state

    def beside(self, image: EncodedImage) -> Any:
        """Returns the image in mode ``par``."""
        return image[0] if self.mode == "par" else None
