"""The common interface of features by image: stores, joined stores and pickles."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from capsmith.core.errors import FeatureError


class StoredFeatures(ABC):
    """Features by image. `rows` looks images up, `gather` reads their features.

    Args:
        row_of: The row of each image that has features.
        shape: Shape of the features of one image.
        missing: Images without features, and the reason.

    Attributes:
        ids: Images that have features.
        shape: Shape of the features of one image: (D,) or (L, D).
        missing: Images without features, and the reason.
    """

    def __init__(self, row_of: Mapping[str, int], shape: tuple[int, ...], missing: Mapping[str, str]) -> None:
        self._row_of = row_of
        self.ids = list(row_of)
        self.shape = shape
        self.missing = missing

    @property
    @abstractmethod
    def paths(self) -> tuple[Path, ...]:
        """The folders or files that hold the features, one for each encoder."""

    def __contains__(self, image_id: object) -> bool:
        return image_id in self._row_of

    def __len__(self) -> int:
        return len(self.ids)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def rows(self, ids: Sequence[str]) -> np.ndarray:
        """Returns the row numbers (int64) of images, for `gather`.

        Raises:
            FeatureError: Some images have no features. The message names the first.
        """
        if absent := [image for image in ids if image not in self._row_of]:
            raise FeatureError(self._describe_absent(absent))
        return np.array([self._row_of[image] for image in ids], np.int64)

    @abstractmethod
    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Returns a copy of the features of N rows, in any order and with repeats: (N, D) or (N, L, D)."""

    def close(self) -> None:  # noqa: B027 - features in memory hold no file
        """Closes open files. `gather` must not be called afterwards."""

    @abstractmethod
    def _describe_absent(self, ids: Sequence[str]) -> str:
        """Returns the error message for images that have no features."""
