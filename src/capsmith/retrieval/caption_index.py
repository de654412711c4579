"""Caption index: captions of the training images, and vectors that find the nearest of them.

P images · D feature channels · d dimensions of a vector · k neighbours · W words.

The vector of an image has two parts, each of length 1: the visual part is a projection on principal components of the
features (at most 256), the semantic part a projection on directions that predict captions (``concepts``, at most 200).
Features are means over regions, standardised per channel. With 6,000 images the index takes 16 MB, and finding
neighbours needs neither the training images nor their features.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from capsmith.metrics.utility import DocumentFrequencies
from capsmith.retrieval import index_file
from capsmith.retrieval.concepts import ConceptPredictor, semantic_directions
from capsmith.retrieval.pooled import FeatureLookup, pool
from capsmith.retrieval.principal_components import PrincipalComponents, unit

_COMPONENTS = 768  # principal components from which captions are predicted, at most
_IDENTICAL = 0.999  # visual cosine; vectors are stored as float16
_BATCH = 256


@dataclass(frozen=True)
class CaptionIndex:
    """Captions and vectors of training images.

    Attributes:
        captions: The captions of each image as token ids, without start and end.
        vectors: Vectors (P, d), the visual part first.
        mean: Mean of the pooled features (D,).
        visual_projection: Maps centred features to the visual part (D, d').
        semantic_projection: Maps centred features to the semantic part (D, d - d').
        concepts: Predicts words from centred features.
    """

    captions: tuple[tuple[tuple[int, ...], ...], ...]
    vectors: np.ndarray
    mean: np.ndarray
    visual_projection: np.ndarray
    semantic_projection: np.ndarray
    concepts: ConceptPredictor

    @classmethod
    def build(
        cls, source: FeatureLookup, ids: Sequence[str], captions: Sequence[Sequence[Sequence[int]]]
    ) -> "CaptionIndex":
        """Indexes images.

        Args:
            source: Provides the features of the images.
            ids: The images.
            captions: The captions of each image as token ids.
        """
        pooled = np.concatenate(
            [pool(source.features(ids[first : first + _BATCH])) for first in range(0, len(ids), _BATCH)]
        )
        parts = PrincipalComponents.of(pooled)
        basis, visual = parts.basis(_COMPONENTS), parts.visual_projection()
        projected = parts.scaled @ basis
        to_components = parts.scale[:, None] * basis  # maps centred features to the components
        semantic = (to_components @ semantic_directions(projected, captions)).astype(np.float32)
        concepts = ConceptPredictor.fit(projected, captions)
        concepts = replace(concepts, encode=(to_components @ concepts.encode).astype(np.float32))
        ids_of_tokens = tuple(tuple(tuple(int(token) for token in c) for c in group) for group in captions)
        vectors = _vectors(pooled - parts.mean, visual, semantic).astype(np.float16)
        return cls(ids_of_tokens, vectors, parts.mean, visual, semantic, concepts)

    def nearest(
        self, features: np.ndarray, k: int, semantic_weight: float = 0.0, skip_identical: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the k nearest training images of N images, the most similar first.

        Args:
            features: Features (N, D) or (N, L, D).
            k: Number of neighbours; fewer are returned if the index has fewer.
            semantic_weight: Weight of the semantic cosine; the visual cosine has weight 1.
            skip_identical: Rank images whose visual cosine exceeds 0.999 last, because they are the same image.

        Returns:
            Indices of training images, and their similarity, the weighted mean of both cosines, both (N, k).
        """
        queries = _vectors(pool(features) - self.mean, self.visual_projection, self.semantic_projection)
        width, vectors = self.visual_projection.shape[1], self.vectors.astype(np.float32)
        queries[:, width:] *= semantic_weight
        similarity = queries @ vectors.T / np.float32(1 + semantic_weight)
        if skip_identical:
            similarity[self.identical(features)] = -1.0
        nearest: np.ndarray = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
        return nearest, np.take_along_axis(similarity, nearest, axis=1)

    def identical(self, features: np.ndarray) -> np.ndarray:
        """Returns which training images are the image itself, (N, P) bool, for features (N, D) or (N, L, D)."""
        queries = unit((pool(features) - self.mean) @ self.visual_projection)
        vectors = self.vectors[:, : self.visual_projection.shape[1]].astype(np.float32)
        same: np.ndarray = queries @ vectors.T > _IDENTICAL
        return same

    def predict_concepts(self, features: np.ndarray) -> np.ndarray:
        """Returns the predictions (N, W) of ``concepts`` for features (N, D) or (N, L, D)."""
        return self.concepts.predict(pool(features) - self.mean)

    @cached_property
    def frequencies(self) -> DocumentFrequencies:
        """Document frequencies of the n-grams in the captions; the captions of an image are one document."""
        return DocumentFrequencies(self.captions)

    def save(self, run: Path) -> None:
        """Writes ``caption_index.npz`` into a run directory, atomically."""
        arrays = {
            "vectors": self.vectors,
            "mean": self.mean,
            "visual_projection": self.visual_projection,
            "semantic_projection": self.semantic_projection,
            "concept_tokens": self.concepts.tokens,
            "concept_idf": self.concepts.idf,
            "concept_encode": self.concepts.encode,
            "concept_decode": self.concepts.decode,
        }
        index_file.write(run, arrays, self.captions)

    @classmethod
    def load(cls, run: Path, channels: int | None = None, vocabulary_size: int | None = None) -> "CaptionIndex":
        """Reads the index of a run, of this version or of an earlier one (``memory.npz``).

        Args:
            run: The run directory.
            channels: D of the features that the run's decoder takes; None accepts any.
            vocabulary_size: Number of words in the run's vocabulary; None accepts any.

        Raises:
            CheckpointError: The file is missing or damaged, or does not fit the run's features or vocabulary.
        """
        arrays, captions = index_file.read(run, channels, vocabulary_size)
        concepts = ConceptPredictor(*(arrays[f"concept_{name}"] for name in ("tokens", "idf", "encode", "decode")))
        vectors, mean = arrays["vectors"], arrays["mean"]
        return cls(captions, vectors, mean, arrays["visual_projection"], arrays["semantic_projection"], concepts)


def _vectors(centred: np.ndarray, visual: np.ndarray, semantic: np.ndarray) -> np.ndarray:
    return np.concatenate([unit(centred @ visual), unit(centred @ semantic)], axis=1)
