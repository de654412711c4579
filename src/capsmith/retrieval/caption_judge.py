"""Compares captions with images in a joint embedding, for reranking. NumPy only.

N images · L regions · D channels · d dimensions of the joint space · C captions · M training captions.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from capsmith.core.errors import CheckpointError
from capsmith.retrieval.pooled import pool


class JointSpace(Protocol):
    """What a judge needs of a joint embedding; see ``retrieval.embedder.Embedder``."""

    def embed_features(self, features: np.ndarray) -> np.ndarray:
        """Returns the unit vectors (N, d) of images."""

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Returns the unit vectors (N, d) of texts."""

    def save(self, folder: Path, source: str | None = None, vectors: bool = True) -> None:
        """Writes its files into a run or an export, under another name of its source."""


class CaptionJudge:
    """Says how well captions fit an image, by their cosine in a joint space.

    Captions pass as text: the embedding has a vocabulary of its own. An image's result does not depend on the images
    beside it, not even by rounding.

    Args:
        space: The joint embedding.
        to_text: Returns a caption as text, from its token ids.
        pooled: Whether the embedding takes the mean over regions: for a captioner that reads a grid.
        vectors: Vectors (M, d) of the captions of the caption index, one image's after another's; None if not kept.
    """

    def __init__(
        self,
        space: JointSpace,
        to_text: Callable[[Sequence[int]], str],
        pooled: bool = False,
        vectors: np.ndarray | None = None,
    ) -> None:
        self.space, self.to_text, self.pooled = space, to_text, pooled
        self.vectors = None if vectors is None else vectors.astype(np.float32)

    def save(self, folder: Path, source: str, vectors: bool) -> None:
        """Writes the embedding into an export.

        Args:
            folder: The export.
            source: The name by which its settings call the embedding.
            vectors: Whether to write the vectors of the training captions too.

        Raises:
            CheckpointError: The vectors are not kept.
        """
        if vectors and self.vectors is None:
            self.nearest_captions(np.zeros(0), 0)  # raises
        self.space.save(folder, source, vectors)

    def images(self, features: np.ndarray) -> np.ndarray:
        """Returns the vectors (N, d) of images.

        Args:
            features: Features (N, D) or (N, L, D) that the captioner reads.
        """
        given = pool(features) if self.pooled else np.asarray(features)
        return np.concatenate([self.space.embed_features(given[row : row + 1]) for row in range(len(given))])

    def nearest_captions(
        self,
        image_d: np.ndarray,  # noqa: N803
        k: int,
        ignored_M: np.ndarray | None = None,  # noqa: N803
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the training captions nearest to an image: their rows, best first, and their cosines, both (k,).

        Args:
            image_d: One row of ``images``.
            k: Their number; there are fewer if fewer captions are kept.
            ignored_M: Which captions are no answer, bool.

        Raises:
            CheckpointError: The vectors of the captions are not kept.
        """
        if self.vectors is None:
            raise CheckpointError(
                "decoding.rerank.caption_weight needs the vectors of the training captions, which are not kept here: "
                "evaluate the run once with this reranker, and export it again if it is an export"
            )
        cosines = self.vectors @ image_d
        if ignored_M is not None:
            cosines[ignored_M] = -2.0
        nearest: np.ndarray = np.argsort(-cosines, kind="stable")[: min(k, int((cosines >= -1.5).sum()))]
        return nearest, cosines[nearest]

    def similarity(self, image_d: np.ndarray, captions: Sequence[Sequence[int]]) -> np.ndarray:  # noqa: N803
        """Returns the cosine of one image and each of its captions, (C,).

        Args:
            image_d: One row of ``images``.
            captions: As token ids.
        """
        vectors = self.space.embed_texts([self.to_text(caption) for caption in captions])
        cosines: np.ndarray = vectors @ image_d
        return cosines
