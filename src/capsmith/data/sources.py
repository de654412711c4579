"""Where batches find images: a feature store, pixels, or either in variants, of which an epoch shows one each."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np

from capsmith.vision.augment import AugmentConfig, augment
from capsmith.vision.cached_crops import is_mirrored


class Source(Protocol):
    """Where a batch's images come from: a feature store, or images themselves."""

    def rows(self, ids: Sequence[str]) -> np.ndarray:
        """Returns the row of each image."""

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Returns features (P, …) or pixels (P, H, W, 3) of rows."""


class VariedSource(ABC):
    """Images that look different from epoch to epoch. Row ``r + n · v`` is variant v of image r.

    Args:
        ids: The images, n of them.
    """

    def __init__(self, ids: Sequence[str]) -> None:
        self._row = {image: row for row, image in enumerate(ids)}

    def rows(self, ids: Sequence[str]) -> np.ndarray:
        """Returns the rows of the images as they are."""
        return np.array([self._row[image] for image in ids], np.int64)

    def images(self, rows: np.ndarray) -> np.ndarray:
        """Returns the rows of the images as they are, whichever variants the given ones are."""
        return rows % len(self._row)

    def drawn(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Returns for each image's row that of one of its variants, drawn at random."""
        return self.images(rows) + len(self._row) * rng.integers(self.variants, size=len(rows))

    def mirrored(self, rows: np.ndarray) -> np.ndarray:
        """Returns which rows are mirrored images."""
        return np.array([self.mirrors(int(variant)) for variant in rows // len(self._row)], bool)

    @property
    @abstractmethod
    def variants(self) -> int:
        """How many variants an image has."""

    @abstractmethod
    def mirrors(self, variant: int) -> bool:
        """Returns whether a variant is mirrored."""

    @abstractmethod
    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Returns features (P, …) or pixels (P, H, W, 3) of rows, whichever variants they are."""


class AugmentedSource(VariedSource):
    """Varies pixels whenever they are asked for; what a row looks like is a function of the row.

    Args:
        source: The pixels.
        ids: The images.
        how: What varies.
    """

    variants = 2**31

    def __init__(self, source: Source, ids: Sequence[str], how: AugmentConfig) -> None:
        super().__init__(ids)
        self.source, self.how = source, how
        self._rows = source.rows(ids)

    def mirrors(self, variant: int) -> bool:
        """Returns whether a variant is mirrored: every other one."""
        return self.how.mirror and variant % 2 == 1

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Returns the varied pixels (P, H, W, 3) of rows, uint8."""
        pixels = np.array(self.source.gather(self._rows[self.images(rows)]))
        for place, (row, turned) in enumerate(zip(rows, self.mirrored(rows), strict=True)):
            pixels[place] = augment(pixels[place], self.how, np.random.default_rng(int(row)), bool(turned))
        return pixels


class ViewedSource(VariedSource):
    """Reads the features of images and of their views.

    Args:
        sources: The images as they are, then their views in order.
        ids: The images that all of them hold.
    """

    def __init__(self, sources: Sequence[Source], ids: Sequence[str]) -> None:
        super().__init__(ids)
        self.sources = tuple(sources)
        self._rows = [source.rows(ids) for source in sources]

    @property
    def variants(self) -> int:
        """The image as it is, and its views."""
        return len(self.sources)

    def mirrors(self, variant: int) -> bool:
        """Returns whether a view is mirrored."""
        return is_mirrored(variant)

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Returns the features (P, …) of rows, whichever views they are."""
        views, images = np.divmod(rows, len(self._row))
        parts = [(at, self.sources[view].gather(self._rows[view][images[at]])) for view, at in _each(views)]
        out = np.empty((len(rows), *parts[0][1].shape[1:]), parts[0][1].dtype)
        for at, part in parts:
            out[at] = part
        return out


def mirror_words(words: Sequence[str], pairs: Sequence[tuple[str, str]]) -> np.ndarray:
    """Returns for each word's place (W,) that of the word to say of a mirrored image: ``right`` for ``left``.

    Args:
        words: The words; a pair of which they lack one is left alone.
        pairs: Words that exchange their places.
    """
    place = {word: number for number, word in enumerate(words)}
    other = np.arange(len(words))
    for one, two in known_pairs(words, pairs):
        other[place[one]], other[place[two]] = place[two], place[one]
    return other


def known_pairs(words: Iterable[str], pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Returns the pairs of which both words are known."""
    known = set(words)
    return [pair for pair in pairs if known.issuperset(pair)]


def _each(views: np.ndarray) -> list[tuple[int, np.ndarray]]:
    return [(int(view), np.flatnonzero(views == view)) for view in np.unique(views)]
