"""What features say about captions: directions in which images of other captions differ, and words they speak of.

P images · D feature channels · W words · d directions · C captions.

Both come from ridge regressions of captions' words on features, of reduced rank (Izenman 1975), each with a ridge that
suits it. In the directions of one two images are near when people would say similar things of them, whatever else
they have in common; the words of the other say of a new image how much its captions would speak of each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from capsmith.data.text.vocabulary import END, PAD, START, UNK

Captions = Sequence[Sequence[Sequence[int]]]
"""For each image its captions as word ids."""
_RIDGE = 0.3  # of the mean variance of a channel
_CONTENT_RIDGE = 0.1
_IMAGES = 10  # that a word stands with at least
_DIRECTIONS = 200
_RANK = 400
_LEAST = 1e-6  # a strength below is none


def directions(features_PD: np.ndarray, captions: Captions) -> np.ndarray:  # noqa: N803
    """Returns directions (D, d), each as long as it says something; d is 0 where captions share no words.

    Args:
        features_PD: Features, each channel of mean 0.
        captions: What people say of the images.
    """
    _, _, spoken = _words(captions)
    ours, strength, _ = _regressed(features_PD, spoken, _RIDGE, _DIRECTIONS)
    found: np.ndarray = ours * np.sqrt(strength)
    return found.astype(np.float32)


@dataclass(frozen=True)
class Content:
    """How much images speak of words, and how well captions fit that.

    Attributes:
        words: Ids of the words that are known (W,).
        rarity: Of each, the logarithm of all images over those whose captions have it (W,).
        left: From features, each channel of mean 0, (D, r).
        right: To words (r, W).
    """

    words: np.ndarray
    rarity: np.ndarray
    left: np.ndarray
    right: np.ndarray

    @classmethod
    def of(cls, features_PD: np.ndarray, captions: Captions) -> "Content":  # noqa: N803
        """Learns from images, each channel of their features of mean 0, and from their captions."""
        words, rarity, spoken = _words(captions)
        left, strength, right = _regressed(features_PD, spoken, _CONTENT_RIDGE, _RANK)
        return cls(words, rarity, (left * strength).astype(np.float32), right.astype(np.float32))

    def spoken_of(self, features_ND: np.ndarray) -> np.ndarray:  # noqa: N803
        """Returns by how much more than usual images speak of each word, (N, W), each image's of length 1."""
        found = features_ND @ self.left @ self.right
        unit: np.ndarray = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
        return unit

    def fit(self, spoken_W: np.ndarray, captions: Sequence[Sequence[int]]) -> np.ndarray:  # noqa: N803
        """Returns how well captions say what one image speaks of, (C,).

        A caption's words count by their rarity, each once. Their sum is divided by the root of the
        Euclidean length of their rarities: by all of it short captions would win, by nothing long ones.

        Args:
            spoken_W: A row of ``spoken_of``.
            captions: As word ids.
        """
        fits = np.zeros(len(captions))
        for number, caption in enumerate(captions):
            places = [self._places[word] for word in set(caption) if word in self._places]
            if places:
                said = self.rarity[places]
                fits[number] = said @ spoken_W[places] / max(float(np.linalg.norm(said)), 1e-12) ** 0.5
        return fits

    @cached_property
    def _places(self) -> dict[int, int]:
        return {int(word): place for place, word in enumerate(self.words)}


def _regressed(
    features_PD: np.ndarray,  # noqa: N803
    spoken_PW: np.ndarray,  # noqa: N803
    ridge: float,
    most: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns directions of features (D, d), how strongly words follow them (d,), and those words (d, W)."""
    count, channels = features_PD.shape
    covariance = features_PD.T @ features_PD / count
    covariance[np.diag_indices(channels)] += ridge * np.trace(covariance) / channels + 1e-12
    root = np.linalg.cholesky(covariance)
    ours, strength, theirs = np.linalg.svd(
        np.linalg.solve(root, features_PD.T @ spoken_PW / count), full_matrices=False
    )
    kept = np.flatnonzero(strength[:most] > _LEAST)
    return np.linalg.solve(root.T, ours[:, kept]), strength[kept], theirs[kept]


def _words(captions: Captions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns words (W,), their rarity (W,), and how much each image's captions speak of them (P, W).

    Rarer words count more; an image's row has length 1 before every word's mean is taken off.
    """
    pairs = [
        (image, word, 1.0 / len(group))
        for image, group in enumerate(captions)
        for caption in group
        for word in set(caption) - {PAD, UNK, START, END}
    ]
    if not pairs:
        return np.zeros(0, np.int64), np.zeros(0), np.zeros((len(captions), 0))
    image, word, share = (np.array(column) for column in zip(*pairs, strict=True))
    words, column = np.unique(word, return_inverse=True)
    spoken = np.zeros((len(captions), len(words)))
    np.add.at(spoken, (image, column), share)
    frequency = (spoken > 0).sum(axis=0)
    often = frequency >= _IMAGES
    rarity = np.log(len(captions) / frequency[often])
    spoken = spoken[:, often] * rarity
    spoken /= np.maximum(np.linalg.norm(spoken, axis=1, keepdims=True), 1e-12)
    return words[often], rarity, spoken - spoken.mean(axis=0)
