"""Concepts: words predicted from an image's features, and directions of features that predict captions.

P images · D feature channels · W words · d directions · C captions · r rank.

Both are reduced-rank ridge regressions (Izenman 1975) of the words of captions on features, each with its own ridge.
In the directions of the first, two images are close if their captions are likely to be similar. The second predicts
the relevance of each word to the captions of a new image.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from capsmith.data.text.vocabulary import END, PAD, START, UNK

Captions = Sequence[Sequence[Sequence[int]]]
"""The captions of each image as token ids."""
_DIRECTIONS_RIDGE = 0.3  # share of the mean variance of a channel
_CONCEPTS_RIDGE = 0.1
_MIN_IMAGES = 10  # minimum number of images whose captions contain a word
_MAX_DIRECTIONS = 200
_MAX_RANK = 400
_MIN_STRENGTH = 1e-6  # smaller singular values count as zero


def semantic_directions(features_PD: np.ndarray, captions: Captions) -> np.ndarray:  # noqa: N803
    """Returns directions (D, d) that predict captions, longer ones predicting more; d is 0 if no words are shared.

    Args:
        features_PD: Features; each channel has mean 0.
        captions: The captions of the images.
    """
    _, _, targets = _word_targets(captions)
    directions, strength, _ = _reduced_rank_regression(features_PD, targets, _DIRECTIONS_RIDGE, _MAX_DIRECTIONS)
    scaled: np.ndarray = directions * np.sqrt(strength)
    return scaled.astype(np.float32)


@dataclass(frozen=True)
class ConceptPredictor:
    """Predicts words from features, and scores captions against the prediction.

    Attributes:
        tokens: Ids of the predicted words (W,).
        idf: Inverse document frequency of each: log of all images over those whose captions contain it (W,).
        encode: Maps features, each channel with mean 0, to r dimensions (D, r).
        decode: Maps these to words (r, W).
    """

    tokens: np.ndarray
    idf: np.ndarray
    encode: np.ndarray
    decode: np.ndarray

    @classmethod
    def fit(cls, features_PD: np.ndarray, captions: Captions) -> "ConceptPredictor":  # noqa: N803
        """Fits the predictor to the features of images, each channel with mean 0, and their captions."""
        tokens, idf, targets = _word_targets(captions)
        encode, strength, decode = _reduced_rank_regression(features_PD, targets, _CONCEPTS_RIDGE, _MAX_RANK)
        return cls(tokens, idf, (encode * strength).astype(np.float32), decode.astype(np.float32))

    def predict(self, features_ND: np.ndarray) -> np.ndarray:  # noqa: N803
        """Returns the relevance of each word to each image relative to the average image, (N, W), rows of length 1."""
        predicted = features_ND @ self.encode @ self.decode
        unit: np.ndarray = predicted / np.maximum(np.linalg.norm(predicted, axis=1, keepdims=True), 1e-12)
        return unit

    def score(self, prediction_W: np.ndarray, captions: Sequence[Sequence[int]]) -> np.ndarray:  # noqa: N803
        """Returns the concept score of captions of one image, (C,).

        Each distinct word of a caption contributes its idf times its prediction. The sum is divided by the square root
        of the Euclidean norm of the idfs: dividing by the norm itself would favour short captions, not dividing would
        favour long ones.

        Args:
            prediction_W: One row of ``predict``.
            captions: As token ids.
        """
        scores = np.zeros(len(captions))
        for number, caption in enumerate(captions):
            columns = [self._columns[token] for token in set(caption) if token in self._columns]
            if columns:
                idf = self.idf[columns]
                scores[number] = idf @ prediction_W[columns] / max(float(np.linalg.norm(idf)), 1e-12) ** 0.5
        return scores

    @cached_property
    def _columns(self) -> dict[int, int]:
        return {int(token): column for column, token in enumerate(self.tokens)}


def _reduced_rank_regression(
    features_PD: np.ndarray,  # noqa: N803
    targets_PW: np.ndarray,  # noqa: N803
    ridge: float,
    max_rank: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns directions of features (D, r), their singular values (r,), and the directions of words (r, W)."""
    count, channels = features_PD.shape
    covariance = features_PD.T @ features_PD / count
    covariance[np.diag_indices(channels)] += ridge * np.trace(covariance) / channels + 1e-12
    root = np.linalg.cholesky(covariance)
    left, strength, right = np.linalg.svd(
        np.linalg.solve(root, features_PD.T @ targets_PW / count), full_matrices=False
    )
    rank = np.flatnonzero(strength[:max_rank] > _MIN_STRENGTH)
    return np.linalg.solve(root.T, left[:, rank]), strength[rank], right[rank]


def _word_targets(captions: Captions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns words (W,), their idf (W,), and the weight of each word in each image's captions (P, W).

    Entries are tf-idf; the row of an image has length 1 before the mean of each column is subtracted.
    """
    entries = [
        (image, token, 1.0 / len(group))
        for image, group in enumerate(captions)
        for caption in group
        for token in set(caption) - {PAD, UNK, START, END}
    ]
    if not entries:
        return np.zeros(0, np.int64), np.zeros(0), np.zeros((len(captions), 0))
    image, token, share = (np.array(column) for column in zip(*entries, strict=True))
    tokens, column = np.unique(token, return_inverse=True)
    targets = np.zeros((len(captions), len(tokens)))
    np.add.at(targets, (image, column), share)
    frequency = (targets > 0).sum(axis=0)
    frequent = frequency >= _MIN_IMAGES
    idf = np.log(len(captions) / frequency[frequent])
    targets = targets[:, frequent] * idf
    targets /= np.maximum(np.linalg.norm(targets, axis=1, keepdims=True), 1e-12)
    return tokens[frequent], idf, targets - targets.mean(axis=0)
