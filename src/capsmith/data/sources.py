"""Where batches find pictures: a feature store, pixels, or either together with random views.

Of views, a training epoch shows each picture in one.

Row ``r + n · v`` is view v of picture r, n being the number of pictures; view 0 is the picture as it is.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from capsmith.features.views import is_mirrored


class Source(Protocol):
    """Where a batch's pictures come from: a feature store, or pictures themselves."""

    def rows(self, ids: Sequence[str]) -> np.ndarray:
        """Returns the row of each picture."""

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Returns features (P, …) or pixels (P, H, W, 3) of rows."""


class ViewedSource:
    """Reads the features of pictures and of their views.

    Args:
        sources: The pictures as they are, then their views in order.
        ids: The pictures that all of them hold.
    """

    def __init__(self, sources: Sequence[Source], ids: Sequence[str]) -> None:
        self.sources = tuple(sources)
        self._row = {image: row for row, image in enumerate(ids)}
        self._rows = [source.rows(ids) for source in sources]

    def rows(self, ids: Sequence[str]) -> np.ndarray:
        """Returns the rows of the pictures as they are."""
        return np.array([self._row[image] for image in ids], np.int64)

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Returns the features (P, …) of rows, whichever views they are."""
        views, pictures = np.divmod(rows, len(self._row))
        parts = [(at, self.sources[view].gather(self._rows[view][pictures[at]])) for view, at in _each(views)]
        out = np.empty((len(rows), *parts[0][1].shape[1:]), parts[0][1].dtype)
        for at, part in parts:
            out[at] = part
        return out

    def drawn(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Returns for each picture's row that of one of its views, drawn evenly."""
        return self.pictures(rows) + len(self._row) * rng.integers(len(self.sources), size=len(rows))

    def pictures(self, rows: np.ndarray) -> np.ndarray:
        """Returns the rows of the pictures as they are, whichever views the given ones are."""
        return rows % len(self._row)

    def mirrored(self, rows: np.ndarray) -> np.ndarray:
        """Returns which rows are mirrored pictures."""
        return np.array([is_mirrored(int(view)) for view in rows // len(self._row)], bool)


def mirror_words(words: Sequence[str], pairs: Sequence[tuple[str, str]]) -> np.ndarray:
    """Returns for each word's place (W,) that of the word to say of a mirrored picture: ``right`` for ``left``.

    Args:
        words: The words; a pair of which they lack one is left alone.
        pairs: Words that exchange their places.
    """
    place = {word: number for number, word in enumerate(words)}
    other = np.arange(len(words))
    for one, two in pairs:
        if one in place and two in place:
            other[place[one]], other[place[two]] = place[two], place[one]
    return other


def _each(views: np.ndarray) -> list[tuple[int, np.ndarray]]:
    return [(int(view), np.flatnonzero(views == view)) for view in np.unique(views)]
