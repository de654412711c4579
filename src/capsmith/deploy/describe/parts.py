"""The interfaces of what describes an image. Each part may be missing, and any object with these methods will do.

d dimensions of the joint space · v dimensions of visual vectors.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from capsmith.deploy.recommend.recommender import Recommendation
from capsmith.deploy.search.hits import By, Hit
from capsmith.models.caption import Caption
from capsmith.retrieval.embedder import Embedder
from capsmith.vision.images import ImageSource, load_sizes


class Vectors(NamedTuple):
    """The unit vectors of an image.

    Attributes:
        semantic: Its vector in the joint space (d,).
        visual: Its visual vector (v,).
    """

    semantic: np.ndarray
    visual: np.ndarray


class CaptionPart(Protocol):
    """Captions images: a ``Captioner`` of any kind."""

    def caption(self, images: Any) -> Caption:
        """Returns the caption of an image."""


class IndexPart(Protocol):
    """Finds similar images: ``deploy.search.ImageIndex``."""

    def search_vectors(
        self,
        semantic: np.ndarray,
        visual: np.ndarray,
        top: int = 9,
        threshold: float | None = None,
        by: By = "visual",
    ) -> list[Hit]:
        """Returns the images whose vectors are most like these, best first."""

    def path(self, id: int) -> Path:
        """Returns the file of a hit."""

    def __len__(self) -> int:
        """Returns the number of images."""


class RecommendPart(Protocol):
    """Recommends captions: ``deploy.recommend.Recommender``."""

    correction: Any

    def recommend_vectors(self, vectors: np.ndarray, top: int = 5) -> list[list[Recommendation]]:
        """Returns captions for each of N images whose vectors in the joint space are (N, d)."""


class EmbedPart(Protocol):
    """Computes the vectors of images: ``ImageVectors``."""

    def vectors(self, image: ImageSource) -> Vectors:
        """Returns the vectors of an image."""

    def pixels(self, image: ImageSource) -> Sequence[np.ndarray]:
        """Returns the pixels of an image that ``batch`` takes; only sources need it."""

    def batch(self, pixels: Sequence[Sequence[np.ndarray]]) -> list[Vectors]:
        """Returns the vectors of several images, given as pixels; only sources need it."""


@dataclass(frozen=True)
class SourceImage:
    """An image that a source has, as a file.

    Attributes:
        path: The file, which the source keeps.
        title: Its title, or its name.
        page: The address of the page that shows it; empty if there is none.
        credit: Who made it, and where it is from; empty if unknown.
    """

    path: Path
    title: str = ""
    page: str = ""
    credit: str = ""


class Source(Protocol):
    """Finds images by words: a folder, a list of addresses, or a service such as Pixabay.

    Attributes:
        name: The source for people.
        reads_query: Whether its images depend on the query.
    """

    name: str
    reads_query: bool

    def images(self, query: str) -> Iterator[SourceImage]:
        """Yields the images that a query finds; those that cannot be had are skipped, with a line in the log.

        The query is empty if there is no caption to take it from.

        Raises:
            CapsmithError: None can be had: the reason.
        """


class ImageVectors:
    """The vectors of images by a joint embedding.

    Args:
        embedder: The joint embedding.
    """

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder

    def vectors(self, image: ImageSource) -> Vectors:
        """Returns the vectors of an image.

        Raises:
            ImageError: It cannot be read.
        """
        return self.batch([self.pixels(image)])[0]

    def pixels(self, image: ImageSource) -> Sequence[np.ndarray]:
        """Returns the pixels that the embedding's encoders take; as ``vectors``."""
        return load_sizes(image, self.embedder.image_sizes, framing=self.embedder.framing)

    def batch(self, pixels: Sequence[Sequence[np.ndarray]]) -> list[Vectors]:
        """Returns the vectors of several images, given as ``pixels`` returns them."""
        features = self.embedder.encode(*map(np.stack, zip(*pixels, strict=True)))
        pairs = zip(self.embedder.embed_features(features), self.embedder.visual_vectors(features), strict=True)
        return [Vectors(*pair) for pair in pairs]
