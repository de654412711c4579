"""Compares captions with images in a joint embedding, for reranking. NumPy only.

N images · L regions · D channels · d dimensions of the joint space · C captions.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from capsmith.retrieval.pooled import pool


class JointSpace(Protocol):
    """What a judge needs of a joint embedding; see ``retrieval.embedder.Embedder``."""

    def embed_features(self, features: np.ndarray) -> np.ndarray:
        """Returns the unit vectors (N, d) of images."""

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Returns the unit vectors (N, d) of texts."""

    def save(self, folder: Path, source: str | None = None) -> None:
        """Writes its files into a run or an export, under another name of its source."""


class CaptionJudge:
    """Says how well captions fit an image, by their cosine in a joint space.

    Captions pass as text: the embedding has a vocabulary of its own. An image's result does not depend on the images
    beside it, not even by rounding.

    Args:
        space: The joint embedding.
        to_text: Returns a caption as text, from its token ids.
        pooled: Whether the embedding takes the mean over regions: for a captioner that reads a grid.
    """

    def __init__(self, space: JointSpace, to_text: Callable[[Sequence[int]], str], pooled: bool = False) -> None:
        self.space, self.to_text, self.pooled = space, to_text, pooled

    def save(self, folder: Path, source: str) -> None:
        """Writes the embedding into an export, under the name by which the export's settings call it."""
        self.space.save(folder, source)

    def images(self, features: np.ndarray) -> np.ndarray:
        """Returns the vectors (N, d) of images.

        Args:
            features: Features (N, D) or (N, L, D) that the captioner reads.
        """
        given = pool(features) if self.pooled else np.asarray(features)
        return np.concatenate([self.space.embed_features(given[row : row + 1]) for row in range(len(given))])

    def similarity(self, image_d: np.ndarray, captions: Sequence[Sequence[int]]) -> np.ndarray:  # noqa: N803
        """Returns the cosine of one image and each of its captions, (C,).

        Args:
            image_d: One row of ``images``.
            captions: As token ids.
        """
        vectors = self.space.embed_texts([self.to_text(caption) for caption in captions])
        cosines: np.ndarray = vectors @ image_d
        return cosines
