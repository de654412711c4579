"""The interface of rerankers.

B images · D channels · L regions.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from capsmith.decoding.engine import Stepper
from capsmith.decoding.hypotheses import Hypothesis

if TYPE_CHECKING:
    from capsmith.decoding.config import DecodingConfig
    from capsmith.metrics.utility import DocumentFrequencies, Sentences


class Concepts(Protocol):
    """Scores captions against the words predicted from an image; see ``retrieval.concepts.ConceptPredictor``."""

    def score(self, prediction_W: np.ndarray, captions: "Sentences") -> np.ndarray:  # noqa: N803
        """Returns the score of each caption of one image."""


class CaptionIndex(Protocol):
    """Captions of training images, searchable by features; see ``retrieval.caption_index.CaptionIndex``."""

    @property
    def captions(self) -> Sequence["Sentences"]:
        """The captions of each training image as token ids."""

    @property
    def frequencies(self) -> "DocumentFrequencies":
        """Document frequencies of the n-grams in the captions."""

    @property
    def concepts(self) -> Concepts:
        """Scores captions against predicted words."""

    def nearest(
        self, features: np.ndarray, k: int, semantic_weight: float = 0.0, skip_identical: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns indices and similarity of the k nearest training images of each image, both (B, k)."""

    def identical(self, features: np.ndarray) -> np.ndarray:
        """Returns which training images are the image itself, (B, P) bool."""

    def predict_concepts(self, features: np.ndarray) -> np.ndarray:
        """Returns one row of predictions per image, as ``concepts.score`` takes it."""


class CaptionJudge(Protocol):
    """Compares captions with images in a joint embedding; see ``retrieval.caption_judge.CaptionJudge``."""

    def images(self, features: np.ndarray) -> np.ndarray:
        """Returns one row per image, as ``similarity`` takes it."""

    def similarity(self, image_d: np.ndarray, captions: "Sentences") -> np.ndarray:  # noqa: N803
        """Returns the cosine of one image and each caption."""

    def nearest_captions(
        self,
        image_d: np.ndarray,  # noqa: N803
        k: int,
        ignored_M: np.ndarray | None = None,  # noqa: N803
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the k training captions nearest to one image, as rows of all M captions, and their cosines."""


class RerankContext(Protocol):
    """The data that rerankers may read besides hypotheses and features; a captioner implements it."""

    @property
    def caption_index(self) -> CaptionIndex:
        """Captions of the training images; loaded on first use."""

    def caption_judge(self, embedding: Path) -> CaptionJudge:
        """Returns what compares captions with images in a joint embedding, which settings name; loaded on first use."""


class Reranker(Protocol):
    """Reorders hypotheses. Registered with its settings: ``@RERANKERS.register("package.module:Class")``."""

    def candidates(
        self, hypotheses: Sequence[list[Hypothesis]], stepper: Stepper, features: Any, search: "DecodingConfig"
    ) -> list[list[Hypothesis]]:
        """Returns the hypotheses of each of B images, including those that the reranker adds."""

    def rerank(
        self, candidates: Sequence[list[Hypothesis]], features: np.ndarray, context: RerankContext
    ) -> list[list[Hypothesis]]:
        """Returns the hypotheses of each of B images, best first, with the reranker's scores."""
