"""A joint embedding of colours: the meaning of an image is its mean colour, that of a text the colours it names."""

from collections.abc import Sequence

import numpy as np

from capsmith.vision.framing import Framing

COLOURS = {
    "red": (220, 30, 30),
    "green": (30, 200, 40),
    "blue": (30, 40, 220),
    "yellow": (230, 220, 30),
    "white": (245, 245, 245),
    "black": (8, 8, 8),
}


class ToyEmbedder:
    """Implements ``retrieval.embedder.Embedder``; d = 4 and v = 48 (the colours of 4 × 4 cells)."""

    size, visual_size = 4, 48
    image_sizes = [(16, 16)]
    framing: Framing = "stretch"

    def __init__(self, name: str = "toy", fingerprint: str = "toy-1", bank: np.ndarray | None = None) -> None:
        self.name, self.fingerprint, self.bank = name, fingerprint, bank
        self.encoded = 0  # images so far

    def encode(self, *pixels: np.ndarray) -> np.ndarray:
        (array,) = pixels
        self.encoded += len(array)
        cells = np.asarray(array, np.float32).reshape(len(array), 4, 4, 4, 4, 3).mean(axis=(2, 4))
        return cells.reshape(len(array), 48) / 255

    def embed_features(self, features: np.ndarray) -> np.ndarray:
        return _placed(np.asarray(features, np.float32).reshape(-1, 16, 3).mean(axis=1))

    def visual_vectors(self, features: np.ndarray) -> np.ndarray:
        return _unit(np.asarray(features, np.float32) - 0.5)

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        colours = [[COLOURS[word] for word in text.lower().split() if word in COLOURS] for text in texts]
        return _placed(np.array([np.mean(named, axis=0) / 255 if named else (0.5,) * 3 for named in colours]))

    def unknown_words(self, text: str) -> list[str]:
        return [word for word in text.lower().split() if word not in COLOURS]


def _placed(colours: np.ndarray) -> np.ndarray:
    """Returns unit vectors of colours (N, 3) in 0–1; grey is a direction of its own, and not zero."""
    colours = np.asarray(colours, np.float32)
    return _unit(np.concatenate([colours - 0.5, np.full((len(colours), 1), 0.1, np.float32)], axis=1))


def _unit(vectors: np.ndarray) -> np.ndarray:
    unit: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return unit.astype(np.float32)
