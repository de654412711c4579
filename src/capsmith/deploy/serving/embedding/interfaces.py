"""What the service needs of ``deploy.recommend`` and ``deploy.search``."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np


class Library(Protocol):
    """Ready-made captions; descriptions and themes are empty where there are none."""

    @property
    def captions(self) -> Sequence[str]: ...

    @property
    def descriptions(self) -> Sequence[str]: ...

    @property
    def themes(self) -> Sequence[str]: ...

    @property
    def fingerprint(self) -> str: ...


class Recommendation(Protocol):
    """A caption of a library for an image."""

    @property
    def rank(self) -> int: ...

    @property
    def caption(self) -> str: ...

    @property
    def similarity(self) -> float: ...

    @property
    def score(self) -> float: ...

    @property
    def theme(self) -> str: ...


class Recommender(Protocol):
    """Ranks the captions of a library."""

    def recommend_features(
        self, features: np.ndarray, top: int = 5, diverse: bool = False, themes: Sequence[str] = ()
    ) -> Sequence[Sequence[Recommendation]]:
        """Returns the best captions for each of N images with these features."""


class Hit(Protocol):
    """An image that was found."""

    @property
    def id(self) -> int: ...

    @property
    def path(self) -> str: ...

    @property
    def semantic(self) -> float | None: ...

    @property
    def visual(self) -> float | None: ...

    @property
    def caption(self) -> str | None: ...

    @property
    def duplicates(self) -> Sequence[str]: ...


class Index(Protocol):
    """An index of images. Its methods may be called by any thread."""

    @property
    def images(self) -> int: ...

    @property
    def has_captions(self) -> bool: ...

    def search_text(self, text: str, top: int, threshold: float | None, fold: bool) -> Sequence[Hit]: ...

    def search_pixels(
        self, pixels: Sequence[np.ndarray], top: int, threshold: float | None, by: str, fold: bool
    ) -> Sequence[Hit]: ...

    def more_like(self, id: int, top: int, threshold: float | None, by: str, fold: bool) -> Sequence[Hit]: ...

    def search_words(self, words: str, top: int, fold: bool) -> Sequence[Hit]: ...

    def file(self, id: int) -> Path:
        """Returns the file of an image. Raises a CapsmithError if there is none."""


MakeRecommender = Callable[[Library, str | None], Recommender]
"""Makes what ranks a library, with a correction of popularity, by default the usual one."""
MakeLibrary = Callable[[Sequence[str], Sequence[str], Sequence[str]], Library]
"""Makes a library of captions, descriptions and themes."""
