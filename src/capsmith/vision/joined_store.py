"""Several feature stores read as one: the features of several encoders, joined as in ``joined``.

N images · L regions · D channels.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from capsmith.vision.joined import join_features, joined_shape
from capsmith.vision.store import FeatureStore
from capsmith.vision.stored_features import StoredFeatures


class JoinedStore(StoredFeatures):
    """Several stores read as one, with the images that all of them contain.

    Args:
        stores: One store per encoder.
    """

    def __init__(self, stores: Sequence[FeatureStore]) -> None:
        ids = [image for image in stores[0].ids if all(image in store for store in stores)]
        missing = {image: reason for store in reversed(stores) for image, reason in store.missing.items()}
        shape = joined_shape([store.shape for store in stores])
        super().__init__({image: row for row, image in enumerate(ids)}, shape, missing)
        self._parts = tuple(stores)
        self._rows = [store.rows(ids) for store in stores]

    @property
    def paths(self) -> tuple[Path, ...]:
        """The folders of the stores."""
        return tuple(part.path for part in self._parts)

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Returns a copy of the joined features of rows, (N, D) float32 or (N, L, D) float16."""
        return join_features(
            [part.gather(part_rows[rows]) for part, part_rows in zip(self._parts, self._rows, strict=True)]
        )

    def close(self) -> None:
        """Closes all stores."""
        for part in self._parts:
            part.close()

    def _describe_absent(self, ids: Sequence[str]) -> str:
        return next(
            part._describe_absent(absent) for part in self._parts if (absent := [i for i in ids if i not in part])
        )
