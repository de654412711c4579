"""Folding of nearly equal vectors."""

import numpy as np

from capsmith.retrieval.vectors import fold


def at(*degrees):
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_the_first_stands_for_those_that_are_nearly_the_same():
    assert fold(at(0, 90, 2, 91, 180, 1), np.cos(np.radians(5))).tolist() == [0, 1, 0, 1, 4, 0]


def test_chains_are_not_merged():
    assert fold(at(0, 4, 8, 12), np.cos(np.radians(5))).tolist() == [0, 0, 2, 2]


def test_the_most_similar_representative_is_chosen():
    assert fold(at(0, 10, 6), np.cos(np.radians(7))).tolist() == [0, 1, 1]


def test_equal_vectors_fold_at_a_threshold_of_one_less_rounding_and_nothing_folds_above():
    vectors = np.repeat(np.eye(3), 2, axis=0)
    assert fold(vectors, 1 - 1e-6).tolist() == [0, 0, 2, 2, 4, 4]
    assert fold(vectors, 1.1).tolist() == list(range(6)) and fold(vectors[:0], 0.9).tolist() == []
