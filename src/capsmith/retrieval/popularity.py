"""Corrects similarities for popularity: a text that is close to every image says little about any of them. No Keras.

In spaces of many dimensions some vectors are among the nearest of very many others. They are called hubs, and they
spoil a ranking. How popular a text is, is measured against a bank of images, usually those of the training.

N images · M texts · P images of the bank · d dimensions. All vectors have length 1.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Correction = Literal["none", "csls", "inverted_softmax"]
CORRECTIONS: tuple[Correction, ...] = ("none", "csls", "inverted_softmax")
NEIGHBOURS = 10
"""Neighbours that CSLS averages over (Conneau et al. 2018 use 10)."""
TEMPERATURE = 0.07
"""Temperature of the inverted softmax, the inverse of β of Smith et al. 2017; chosen on dev (docs/recommend.md)."""
_BLOCK = 1 << 24  # similarities that are in memory at once


@dataclass(frozen=True)
class Popularity:
    """How close each of M texts is to the images of a bank.

    Attributes:
        neighbours: Mean cosine to the ``NEIGHBOURS`` nearest images (M,), float32; r of CSLS.
        softmax: Soft maximum of the cosines to all images (M,), float32: T · log mean exp(cosine / T).
    """

    neighbours: np.ndarray
    softmax: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> "Popularity":
        return Popularity(self.neighbours[rows], self.softmax[rows])


def popularity(
    texts: np.ndarray, bank: np.ndarray, neighbours: int = NEIGHBOURS, temperature: float = TEMPERATURE
) -> Popularity:
    """Measures the popularity of texts.

    Args:
        texts: Vectors of the texts (M, d).
        bank: Vectors of images (P, d); with fewer than ``neighbours`` images, all of them are neighbours.
        neighbours: k of CSLS.
        temperature: T of the inverted softmax.
    """
    bank = np.asarray(bank, np.float32)
    count = min(neighbours, len(bank))
    near, soft = np.empty(len(texts), np.float32), np.empty(len(texts), np.float32)
    step = max(1, _BLOCK // max(1, len(bank)))
    for first in range(0, len(texts), step):
        rows = slice(first, first + step)
        cosines = np.asarray(texts[rows], np.float32) @ bank.T
        near[rows] = _mean_of_largest(cosines, count)
        highest = cosines.max(axis=1, keepdims=True)
        spread = np.exp((cosines - highest) / temperature).mean(axis=1)
        soft[rows] = highest[:, 0] + temperature * np.log(spread)
    return Popularity(near, soft)


def corrected(
    cosines: np.ndarray, correction: Correction, texts: Popularity | None = None, neighbours: int = NEIGHBOURS
) -> np.ndarray:
    """Returns the scores (N, M) by which texts are ranked for images.

    Args:
        cosines: Cosines of images and texts (N, M).
        correction: ``none`` returns the cosines.
        texts: The popularity of the texts; required by the other corrections.
        neighbours: k of CSLS.
    """
    if correction == "none" or not cosines.size:
        return cosines
    if texts is None:
        raise ValueError(f"{correction} needs the popularity of the texts")
    return csls(cosines, texts, neighbours) if correction == "csls" else inverted_softmax(cosines, texts)


def csls(cosines: np.ndarray, texts: Popularity, neighbours: int = NEIGHBOURS) -> np.ndarray:
    """Cross-domain similarity local scaling: 2 cos(x, y) − r(x) − r(y) (Conneau et al. 2018, eq. 3).

    r(x) is the mean cosine of an image to its nearest texts. It does not change the order of the texts for one image,
    but makes the scores of different images comparable.

    Args:
        cosines: Cosines of images and texts (N, M).
        texts: The popularity of the texts.
        neighbours: k.
    """
    r_images = _mean_of_largest(cosines, min(neighbours, cosines.shape[1]))
    scores: np.ndarray = 2 * cosines - r_images[:, None] - texts.neighbours
    return scores


def inverted_softmax(cosines: np.ndarray, texts: Popularity) -> np.ndarray:
    """Inverted softmax (Smith et al. 2017, eq. 5): the softmax of a text runs over images, not over texts.

    The score is its logarithm times the temperature, plus a constant: the cosine less the soft maximum of the text's
    cosines to the bank.

    Args:
        cosines: Cosines of images and texts (N, M).
        texts: The popularity of the texts.
    """
    scores: np.ndarray = cosines - texts.softmax
    return scores


def _mean_of_largest(values: np.ndarray, count: int) -> np.ndarray:
    """Returns the mean of the ``count`` largest numbers of each row."""
    largest: np.ndarray = np.partition(values, -count, axis=1)[:, -count:].mean(axis=1)
    return largest
