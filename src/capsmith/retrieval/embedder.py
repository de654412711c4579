"""The interface of joint embeddings: images and texts as vectors of one space. No Keras.

N images or texts · L regions · D feature channels · d dimensions of the joint space · v dimensions of visual vectors ·
P training images.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from capsmith.vision.framing import Framing


class Embedder(Protocol):
    """Maps images and texts to unit vectors whose cosine says how well they belong together.

    Loading one is cheap: what computes the features of images is loaded when ``encode`` is first called.
    """

    @property
    def name(self) -> str:
        """The model for people, such as ``runs/flickr8k_embedding`` or ``clip:PRESET``."""

    @property
    def fingerprint(self) -> str:
        """Hash of everything that vectors depend on. Vectors of different fingerprints must not be compared."""

    @property
    def size(self) -> int:
        """Dimensions of the joint space (d)."""

    @property
    def visual_size(self) -> int:
        """Dimensions of visual vectors (v)."""

    @property
    def image_sizes(self) -> list[tuple[int, int]]:
        """Height and width of the pixels that each different encoder takes."""

    @property
    def framing(self) -> Framing:
        """How images are brought to these sizes: pass it to ``vision.images.load_image``."""

    @property
    def bank(self) -> np.ndarray | None:
        """Vectors of training images (P, d) in the joint space, to measure popularity against; None if unknown."""

    def encode(self, *pixels: np.ndarray) -> np.ndarray:
        """Returns the features (N, D) or (N, L, D) of pixels (N, H, W, 3) in 0–255, one array for each encoder."""

    def embed_features(self, features: np.ndarray) -> np.ndarray:
        """Returns the unit vectors (N, d), float32, of images in the joint space."""

    def visual_vectors(self, features: np.ndarray) -> np.ndarray:
        """Returns unit vectors (N, v), float32, whose cosine says how alike two images look."""

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Returns the unit vectors (N, d), float32, of texts in the joint space."""

    def unknown_words(self, text: str) -> list[str]:
        """Returns the words of a text that the model does not know, in order."""
