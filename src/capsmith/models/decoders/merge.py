"""The merge decoder: the recurrence reads words only, and the image is combined with its output.

Tanti, Gatt and Camilleri 2018, "Where to put the image in an image caption generator", fig. 2 (d). It is the model
of the classic notebook, computed once for each sentence instead of once for each word.
"""

from typing import Any

from keras import ops

from capsmith.models.decoders.base import EncodedImage, RecurrentDecoder
from capsmith.models.decoders.config import MergeConfig
from capsmith.models.decoders.dense import Dense


class Merge(RecurrentDecoder):
    """Adds, concatenates or multiplies words and image, followed by a dense layer."""

    def __init__(self, config: MergeConfig, vocabulary_size: int, **kwargs: Any) -> None:
        super().__init__(config, vocabulary_size, **kwargs)
        self.fusion = config.fusion
        self.picture_layer = Dense(config.units, activation="relu", name="picture")
        self.mix = Dense(config.units, activation="relu", name="mix")

    def encode_image(self, features: Any, training: bool) -> EncodedImage:
        """Projects the features to (P, U)."""
        return (self.picture_layer(super().encode_image(features, training)[0]),)

    def fuse(self, h_BTU: Any, image: EncodedImage, training: bool) -> Any:
        """Combines words (B, T, U) and image (B, U): (B, T, U)."""
        h = self.dropout(h_BTU, training=training)
        v = image[0][:, None]
        if self.fusion == "add":
            return self.mix(h + v)
        if self.fusion == "multiply":
            return self.mix(h * v)
        return self.mix(ops.concatenate([h, ops.broadcast_to(v, ops.shape(h))], axis=-1))
