"""The inject decoders: the image is an input of the recurrence.

``init``: initial state; ``pre``: a word before the first (Show and Tell, Vinyals et al. 2015); ``par``: an additional
input at every word. Names as in Tanti, Gatt and Camilleri 2018, fig. 2 (a)–(c).
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
        super().__init__(config, vocabulary_size, step_input_size=config.units if self.mode == "par" else 0, **kwargs)
        if self.mode == "init":
            width = sum(layer.states for layer in self.recurrences) * config.units
            self.enter = Dense(width, activation="tanh", name="to_state")
        elif self.mode == "pre":
            self.enter = Dense(config.embedding.size, name="to_word")
        else:
            self.enter = Dense(config.units, activation="relu", name="beside_words")

    def encode_image(self, features: Any, training: bool) -> EncodedImage:
        """Returns the initial state (P, layers · states · U), a word vector (P, E), or a step input (P, U)."""
        return (self.enter(super().encode_image(features, training)[0]),)

    def initial_state(self, image: EncodedImage) -> list[Any]:
        """Returns the initial state of every layer."""
        if self.mode == "init":
            return list(ops.split(image[0], image[0].shape[-1] // self.config.units, axis=-1))
        state = super().initial_state(image)
        if self.mode == "pre":
            _, state = self.word(image[0], image, state)
        return state

    def step_input(self, image: EncodedImage) -> Any:
        """Returns the encoded image in mode ``par``."""
        return image[0] if self.mode == "par" else None
