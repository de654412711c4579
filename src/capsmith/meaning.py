"""Directions of features in which pictures of other captions differ.

P pictures · D feature channels · W words · d directions.

Regularised canonical correlation analysis (Hardoon et al. 2004) between features and the words of captions. In these
directions two pictures are near when people would say similar things of them, whatever else they have in common.
"""

from collections.abc import Sequence

import numpy as np

from capsmith.text.vocabulary import END, PAD, START, UNK

_RIDGE = 0.3  # of the mean variance of a channel
_PICTURES = 10  # that a word stands with at least
_DIRECTIONS = 200
_LEAST = 1e-6  # a correlation below is none


def directions(features_PD: np.ndarray, captions: Sequence[Sequence[Sequence[int]]]) -> np.ndarray:  # noqa: N803
    """Returns directions (D, d), each as long as it says something; d is 0 where captions share no words.

    Args:
        features_PD: Features, each channel of mean 0.
        captions: For each picture its captions as word ids.
    """
    words = _words(captions)
    count, channels = features_PD.shape
    covariance = features_PD.T @ features_PD / count
    covariance[np.diag_indices(channels)] += _RIDGE * np.trace(covariance) / channels + 1e-12
    root = np.linalg.cholesky(covariance)
    ours, correlation, _ = np.linalg.svd(np.linalg.solve(root, features_PD.T @ words / count), full_matrices=False)
    kept = np.flatnonzero(correlation[:_DIRECTIONS] > _LEAST)
    found: np.ndarray = np.linalg.solve(root.T, ours[:, kept]) * np.sqrt(correlation[kept])
    return found.astype(np.float32)


def _words(captions: Sequence[Sequence[Sequence[int]]]) -> np.ndarray:
    """Returns how much each picture's captions speak of each word (P, W): rarer words more, of length 1, mean 0."""
    pairs = [
        (picture, word, 1.0 / len(group))
        for picture, group in enumerate(captions)
        for caption in group
        for word in set(caption) - {PAD, UNK, START, END}
    ]
    if not pairs:
        return np.zeros((len(captions), 0))
    picture, word, share = (np.array(column) for column in zip(*pairs, strict=True))
    _, column = np.unique(word, return_inverse=True)
    spoken = np.zeros((len(captions), column.max() + 1))
    np.add.at(spoken, (picture, column), share)
    frequency = (spoken > 0).sum(axis=0)
    often = frequency >= _PICTURES
    spoken = spoken[:, often] * np.log(len(captions) / frequency[often])
    spoken /= np.maximum(np.linalg.norm(spoken, axis=1, keepdims=True), 1e-12)
    centred: np.ndarray = spoken - spoken.mean(axis=0)
    return centred
