"""The interface of engines: captioners that other packages or programs compute.

B images · N captions.
"""

from collections.abc import Collection, Sequence
from typing import Protocol

import numpy as np

from capsmith.decoding.config import DecodingConfig
from capsmith.models.external.generation import Generated, Generation
from capsmith.vision.images import ImageSource


class CaptionEngine(Protocol):
    """Captions images. One thread at a time uses it.

    Attributes:
        name: The model for people, such as ``blip:FOLDER``.
        decoding: The search by default: a ``BeamConfig`` or a ``GreedyConfig``.
        settings: The settings of ``decoding`` that it obeys, besides ``type``.
    """

    name: str
    decoding: DecodingConfig
    settings: Collection[str]

    @property
    def fingerprint(self) -> str:
        """Hash of everything that captions depend on but the search."""

    @property
    def image_sizes(self) -> Sequence[tuple[int, int]]:
        """Height and width of the pixels that it takes, as the only element."""

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """Returns the features (B, …) of pixels (B, H, W, 3) in 0–255."""

    def decode(self, features: np.ndarray, generation: Generation) -> list[list[Generated]]:
        """Returns up to N captions, best first, for each of B images.

        Raises:
            CapsmithError: The search does not fit the model.
        """


class FileEngine(Protocol):
    """An engine that would rather read image files itself. ``ExternalCaptioner`` uses this method where it can."""

    def caption_file(self, image: ImageSource, generation: Generation) -> list[Generated]:
        """Returns up to N captions of an image, best first.

        Raises:
            ImageError: The image cannot be read.
            CapsmithError: The engine failed.
        """
