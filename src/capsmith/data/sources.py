"""Sources of features or pixels for training batches, with random variants of each image if augmentation is enabled.

A source numbers its n images by row. If images have variants (random crops, flips), row ``r + n · v`` is variant v of
image r, and variant 0 is the image itself.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np

from capsmith.vision.augment import AugmentConfig, augment
from capsmith.vision.cached_crops import is_mirrored


class FeatureSource(Protocol):
    """Anything that holds features or pixels of images, such as a feature store."""

    def rows(self, ids: Sequence[str]) -> np.ndarray:
        """Returns the row of each image."""

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Returns features (P, …) or pixels (P, H, W, 3) of rows."""


class TrainingSource:
    """A source that batches draw from: here features or pixels as they are; subclasses add variants.

    Args:
        source: The features or pixels.
    """

    def __init__(self, source: FeatureSource) -> None:
        self.source = source

    def rows(self, ids: Sequence[str]) -> np.ndarray:
        """Returns the row of each image, without variation."""
        return self.source.rows(ids)

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Returns features (P, …) or pixels (P, H, W, 3) of rows."""
        return self.source.gather(rows)

    def draw(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Replaces the row of each image with that of a random variant."""
        return rows

    def original(self, rows: np.ndarray) -> np.ndarray:
        """Returns the rows of the images without variation, for rows of any variants."""
        return rows

    def flipped(self, rows: np.ndarray) -> np.ndarray:
        """Returns which rows are mirror images, (P,) bool."""
        return np.zeros(len(rows), bool)

    @property
    def flips(self) -> bool:
        """Whether some variants are mirror images."""
        return False


class VariedSource(TrainingSource, ABC):
    """Images that have variants.

    Args:
        source: The features or pixels of the images without variation.
        ids: The images.
    """

    def __init__(self, source: FeatureSource, ids: Sequence[str]) -> None:
        super().__init__(source)
        self._row = {image_id: row for row, image_id in enumerate(ids)}

    @property
    @abstractmethod
    def variants(self) -> int:
        """Number of variants of an image."""

    @abstractmethod
    def is_flipped(self, variant: int) -> bool:
        """Returns whether a variant is a mirror image."""

    def rows(self, ids: Sequence[str]) -> np.ndarray:
        """Returns the row of each image, without variation."""
        return np.array([self._row[image_id] for image_id in ids], np.int64)

    def draw(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Replaces the row of each image with that of a random variant."""
        return self.original(rows) + len(self._row) * rng.integers(self.variants, size=len(rows))

    def original(self, rows: np.ndarray) -> np.ndarray:
        """Returns the rows of the images without variation, for rows of any variants."""
        return rows % len(self._row)

    def flipped(self, rows: np.ndarray) -> np.ndarray:
        """Returns which rows are mirror images, (P,) bool."""
        return np.array([self.is_flipped(int(variant)) for variant in rows // len(self._row)], bool)

    @property
    def flips(self) -> bool:
        """Whether some variants are mirror images."""
        return self.is_flipped(1)


class AugmentedSource(VariedSource):
    """Augments pixels each time they are read. The result is a function of the row.

    Args:
        source: The pixels.
        ids: The images.
        config: The kinds and strengths of augmentation.
    """

    variants = 2**31

    def __init__(self, source: FeatureSource, ids: Sequence[str], config: AugmentConfig) -> None:
        super().__init__(source, ids)
        self.config = config
        self._rows = source.rows(ids)

    def is_flipped(self, variant: int) -> bool:
        """Returns whether a variant is a mirror image: every second one."""
        return self.config.mirror and variant % 2 == 1

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Returns augmented pixels (P, H, W, 3), uint8."""
        pixels = np.array(self.source.gather(self._rows[self.original(rows)]))
        for place, (row, flip) in enumerate(zip(rows, self.flipped(rows), strict=True)):
            pixels[place] = augment(pixels[place], self.config, np.random.default_rng(int(row)), bool(flip))
        return pixels


class CroppedSource(VariedSource):
    """Stored features of images and of their random crops.

    Args:
        sources: The features of the images, then those of each crop, in order.
        ids: Images that all sources hold.
    """

    def __init__(self, sources: Sequence[FeatureSource], ids: Sequence[str]) -> None:
        super().__init__(sources[0], ids)
        self.sources = tuple(sources)
        self._rows = [source.rows(ids) for source in sources]

    @property
    def variants(self) -> int:
        """Number of crops, including the complete image."""
        return len(self.sources)

    def is_flipped(self, variant: int) -> bool:
        """Returns whether a crop is a mirror image."""
        return is_mirrored(variant)

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Returns features (P, …) of rows of any variants."""
        variants, images = np.divmod(rows, len(self._row))
        places = [np.flatnonzero(variants == variant) for variant in np.unique(variants)]
        parts = []
        for indices in places:
            variant = int(variants[indices[0]])
            parts.append(self.sources[variant].gather(self._rows[variant][images[indices]]))
        out = np.empty((len(rows), *parts[0].shape[1:]), parts[0].dtype)
        for indices, part in zip(places, parts, strict=True):
            out[indices] = part
        return out


class RehearsedSource(TrainingSource):
    """The images of a training, and old images that it repeats unchanged: row r of these has the number -1 - r.

    Args:
        own: The images of the training.
        old: The features or pixels of the old images.
    """

    def __init__(self, own: TrainingSource, old: FeatureSource) -> None:
        super().__init__(own.source)
        self.own, self.old = own, old

    def rows(self, ids: Sequence[str]) -> np.ndarray:
        """Returns the row of each image of the training, without variation."""
        return self.own.rows(ids)

    def old_rows(self, ids: Sequence[str]) -> np.ndarray:
        """Returns the row of each old image."""
        return -1 - self.old.rows(ids)

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Returns features (P, …) or pixels (P, H, W, 3) of rows of both kinds."""
        is_old = rows < 0
        parts = [self.own.gather(rows[~is_old])] if not is_old.all() else []
        parts += [self.old.gather(-1 - rows[is_old])] if is_old.any() else []
        out = np.empty((len(rows), *parts[0].shape[1:]), parts[0].dtype)
        for places, part in zip([at for at in (~is_old, is_old) if at.any()], parts, strict=True):
            out[places] = part
        return out

    def draw(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Replaces the row of each image of the training with that of a random variant."""
        drawn, own = rows.copy(), rows >= 0
        drawn[own] = self.own.draw(rows[own], rng)
        return drawn

    def original(self, rows: np.ndarray) -> np.ndarray:
        """Returns the rows of the images without variation, for rows of any variants."""
        return np.where(rows < 0, rows, self.own.original(rows))

    def flipped(self, rows: np.ndarray) -> np.ndarray:
        """Returns which rows are mirror images, (P,) bool."""
        return (rows >= 0) & self.own.flipped(np.maximum(rows, 0))

    @property
    def flips(self) -> bool:
        """Whether some variants are mirror images."""
        return self.own.flips


def flip_ids(words: Sequence[str], pairs: Sequence[tuple[str, str]]) -> np.ndarray:
    """Returns the replacement of each word id in captions of mirrored images (W,): ``right`` for ``left``.

    Args:
        words: All words by id.
        pairs: Words that are exchanged. A pair with an unknown word is ignored.
    """
    ids = {word: index for index, word in enumerate(words)}
    table = np.arange(len(words))
    for one, other in known_pairs(words, pairs):
        table[ids[one]], table[ids[other]] = ids[other], ids[one]
    return table


def known_pairs(words: Iterable[str], pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Returns the pairs whose words are both known."""
    known = set(words)
    return [pair for pair in pairs if known.issuperset(pair)]
