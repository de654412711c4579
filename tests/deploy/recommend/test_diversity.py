import numpy as np
import pytest

from capsmith.deploy.recommend.diversity import choose_diverse, word_overlap, words_of

CAPTIONS = ["Coffee first.", "Tea for two.", "Coffee first, always.", "Out for a run.", "Brewed with care."]
ANGLES = np.radians([0, 50, 20, 90, 3])
VECTORS = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1).astype(np.float32)
SCORES = np.array([0.9, 0.8, 0.85, 0.2, 0.88], np.float32)


def test_word_overlap():
    assert word_overlap(words_of("Coffee first."), words_of("coffee first, always!")) == pytest.approx(2 / 3)
    assert word_overlap(words_of("…"), words_of("!")) == 0 and words_of("Don't stop") == {"don't", "stop"}


def test_near_duplicates_are_collapsed():
    """The third repeats the words of the first; the last means the same: 3 degrees apart."""
    assert choose_diverse(SCORES, VECTORS, CAPTIONS, 5, relevance=1.0) == [0, 1, 3]


def test_maximal_marginal_relevance_by_hand():
    scores, captions = np.array([1.0, 0.9, 0.7, 0.0]), ["a", "b", "c", "d"]
    angles = np.radians([0, 30, 90, 180])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    # after a: b has .5·.9 − .5·.866 = .017, c has .5·.7 − 0 = .35, d has 0
    assert choose_diverse(scores, vectors, captions, 2, relevance=0.5) == [0, 2]
    assert choose_diverse(scores, vectors, captions, 2, relevance=0.9) == [0, 1]  # .81 − .087 > .63


def test_no_candidates():
    assert choose_diverse(np.zeros(0), np.zeros((0, 2)), [], 3) == []
    assert choose_diverse(np.zeros(1), np.ones((1, 1)), ["a"], 3) == [0]
