"""Encoders that turn pixels into the features that a model reads, each compiled once.

B images · L regions · D channels.
"""

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any

import keras
import numpy as np

from capsmith.core.compilation import compiled
from capsmith.vision.encoder import AnyEncoder
from capsmith.vision.file_encoder import FileEncoder
from capsmith.vision.joined import join_features


class CompiledEncoders:
    """The encoders of one model.

    Args:
        encoder: The encoder, or several that are joined.
        frozen: Whether its features were stored for training: grids then become float16, the precision of a store, so
            that an image file and its stored features give the same result.
    """

    def __init__(self, encoder: AnyEncoder, frozen: bool) -> None:
        self.parts, self.stored = encoder.parts, frozen and len(encoder.feature_shape) == 2

    def encode_with(self, number: int, pixels: np.ndarray) -> np.ndarray:
        """Returns the features of pixels (B, H, W, 3) in 0–255 from one of the encoders."""
        if isinstance(encoder := self.parts[number], FileEncoder):
            return encoder.encode(pixels)
        features: np.ndarray = keras.ops.convert_to_numpy(self._compiled[number](keras.ops.convert_to_tensor(pixels)))
        return features

    def join(self, features: Sequence[np.ndarray]) -> np.ndarray:
        """Joins the features of the encoders."""
        return join_features([part.astype(np.float16) for part in features] if self.stored else features)

    @cached_property
    def _compiled(self) -> list[Callable[[Any], Any]]:
        return [
            encoder.encode
            if isinstance(encoder, FileEncoder)
            else compiled(partial(encoder.model, training=False), encoder.model)
            for encoder in self.parts
        ]
