"""Encoders that turn pixels into the features that a model reads, each compiled once.

B images · L regions · D channels.
"""

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any

import keras
import numpy as np

from capsmith.core.compilation import compiled
from capsmith.vision.encoder import Encoder
from capsmith.vision.file_encoder import FileEncoder
from capsmith.vision.joined import join_features


class CompiledEncoders:
    """The encoders of one model.

    Args:
        parts: The encoders.
    """

    def __init__(self, parts: Sequence[Encoder | FileEncoder]) -> None:
        self.parts = parts

    def encode_with(self, number: int, pixels: np.ndarray) -> np.ndarray:
        """Returns the features of pixels (B, H, W, 3) in 0–255 from one of the encoders."""
        if isinstance(encoder := self.parts[number], FileEncoder):
            return encoder.encode(pixels)
        features: np.ndarray = keras.ops.convert_to_numpy(self._compiled[number](keras.ops.convert_to_tensor(pixels)))
        return features

    @cached_property
    def _compiled(self) -> list[Callable[[Any], Any]]:
        return [
            encoder.encode
            if isinstance(encoder, FileEncoder)
            else compiled(partial(encoder.model, training=False), encoder.model)
            for encoder in self.parts
        ]


def join_as_stored(features: Sequence[np.ndarray], frozen: bool) -> np.ndarray:
    """Joins the features of several encoders into what a model reads.

    Grids of frozen encoders become float16, the precision of a feature store: an image file and its stored features
    give the same result.

    Args:
        features: One array (B, D) or (B, L, D) for each encoder.
        frozen: Whether the encoders are frozen.
    """
    stored = frozen and features[0].ndim == 3
    return join_features([part.astype(np.float16) for part in features] if stored else features)
