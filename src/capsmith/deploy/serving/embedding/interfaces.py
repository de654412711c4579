"""What the service needs of ``deploy.search``."""
# ruff: noqa: D102

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

By = Literal["both", "visual", "semantic"]
"""What images are compared by."""


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
    def words(self) -> float | None: ...

    @property
    def caption(self) -> str | None: ...

    @property
    def duplicates(self) -> Sequence[str]: ...


class Index(Protocol):
    """An index of images. Its methods may be called by any thread."""

    def __len__(self) -> int: ...

    def captioned(self) -> int: ...

    def search_text(self, text: str, top: int, threshold: float | None, fold: bool) -> Sequence[Hit]: ...

    def search_vectors(
        self, semantic: np.ndarray, visual: np.ndarray, top: int, threshold: float | None, by: By, fold: bool
    ) -> Sequence[Hit]: ...

    def more_like(self, id: int, top: int, threshold: float | None, by: By, fold: bool) -> Sequence[Hit]: ...

    def search_words(self, words: str, top: int, threshold: float | None, fold: bool) -> Sequence[Hit]: ...

    def path(self, id: int) -> Path:
        """Returns the file of an image. Raises a CapsmithError if there is none."""
