"""Sources of training images: features or pixels as they are, or in variants, of which each epoch shows one."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np

from capsmith.vision.augment import AugmentConfig, augmented
from capsmith.vision.cached_crops import is_mirrored


class Source(Protocol):
    """Where a batch's images come from: a feature store, or images themselves."""

    def rows(self, ids: Sequence[str]) -> np.ndarray:
        """Returns the row of each image."""

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Returns features (P, …) or pixels (P, H, W, 3) of rows."""


class TrainingSource(ABC):
    """The images of a training, of which each epoch shows one variant."""

    @property
    @abstractmethod
    def has_mirrored(self) -> bool:
        """Whether some variants are mirrored."""

    @abstractmethod
    def rows(self, ids: Sequence[str]) -> np.ndarray:
        """Returns the rows of the original images."""

    @abstractmethod
    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Returns features (P, …) or pixels (P, H, W, 3) of rows, whichever variants they are."""

    @abstractmethod
    def originals(self, rows: np.ndarray) -> np.ndarray:
        """Returns the rows of the original images of variants."""

    @abstractmethod
    def sample(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Returns the row of a random variant for each original image's row."""

    @abstractmethod
    def mirrored(self, rows: np.ndarray) -> np.ndarray:
        """Returns which rows are mirrored images, as bool."""


class OriginalSource(TrainingSource):
    """The images as they are: every epoch shows the same.

    Args:
        source: Their features or pixels.
    """

    has_mirrored = False

    def __init__(self, source: Source) -> None:
        self.source = source

    def rows(self, ids: Sequence[str]) -> np.ndarray:
        """Returns the rows of the images."""
        return self.source.rows(ids)

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Returns features (P, …) or pixels (P, H, W, 3) of rows."""
        return self.source.gather(rows)

    def originals(self, rows: np.ndarray) -> np.ndarray:
        """Returns the rows."""
        return rows

    def sample(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Returns the rows."""
        return rows

    def mirrored(self, rows: np.ndarray) -> np.ndarray:
        """Returns False for each row."""
        return np.zeros(len(rows), bool)


class VariedSource(TrainingSource):
    """Images that look different from epoch to epoch. Row ``r + n · v`` is variant v of image r.

    Args:
        ids: The images, n of them.
    """

    def __init__(self, ids: Sequence[str]) -> None:
        self._row = {image: row for row, image in enumerate(ids)}

    @property
    def has_mirrored(self) -> bool:
        """Whether some variants are mirrored: if any, the first one."""
        return self.mirrors(1)

    def rows(self, ids: Sequence[str]) -> np.ndarray:
        """Returns the rows of the original images."""
        return np.array([self._row[image] for image in ids], np.int64)

    def originals(self, rows: np.ndarray) -> np.ndarray:
        """Returns the rows of the original images of variants."""
        return rows % len(self._row)

    def sample(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Returns the row of a random variant for each original image's row."""
        return self.originals(rows) + len(self._row) * rng.integers(self.variants, size=len(rows))

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
        pixels = np.array(self.source.gather(self._rows[self.originals(rows)]))
        for place, (row, turned) in enumerate(zip(rows, self.mirrored(rows), strict=True)):
            pixels[place] = augmented(pixels[place], self.how, np.random.default_rng(int(row)), bool(turned))
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
