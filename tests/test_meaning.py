"""Directions that say most about captions: against ridge regression, and what they ignore."""

import numpy as np
import pytest

from capsmith.meaning import directions
from capsmith.memory import Memory
from capsmith.text.vocabulary import END, UNK

RNG = np.random.default_rng(5)
PICTURES, CHANNELS = 300, 12
DOG, CAT, ALWAYS = 10, 11, 12


def features_and_captions():
    """Channel 0 varies most and says nothing; whether channel 3 is positive decides between two words."""
    features = RNG.normal(size=(PICTURES, CHANNELS))
    features[:, 0] *= 20
    features -= features.mean(axis=0)
    return features, [[(DOG if row[3] > 0 else CAT, ALWAYS), (ALWAYS, UNK, END)] for row in features]


def test_for_one_word_it_is_ridge_regression():
    features, _ = features_and_captions()
    captions = [[(DOG,)] if row[3] > 0.5 else [()] for row in features]
    there = np.array([bool(group[0]) for group in captions], float)
    covariance = features.T @ features / PICTURES
    ridge = 0.3 * np.trace(covariance) / CHANNELS
    expected = np.linalg.solve(covariance + ridge * np.eye(CHANNELS), features.T @ (there - there.mean()))
    found = directions(features, captions)
    assert found.shape == (CHANNELS, 1)
    cosine = found[:, 0] @ expected / np.linalg.norm(found) / np.linalg.norm(expected)
    assert abs(cosine) == pytest.approx(1, abs=1e-5)


def test_a_loud_channel_that_says_nothing_is_ignored():
    features, captions = features_and_captions()
    along = features @ directions(features, captions)
    deciding, loud = (abs(np.corrcoef(along[:, 0], features[:, channel])[0, 1]) for channel in (3, 0))
    assert deciding > 0.8 and loud < deciding / 2


def test_words_too_rare_to_learn_and_no_words_at_all():
    features, captions = features_and_captions()
    rare = [[(100 + n // 9, UNK)] for n in range(PICTURES)]  # nine pictures a word
    assert directions(features, rare).shape == directions(features, [[()]] * PICTURES).shape == (CHANNELS, 0)
    assert directions(features[:5], captions[:5]).shape == (CHANNELS, 0)


class Seen:
    def __init__(self, features):
        self.all = features.astype(np.float32)

    def features(self, ids):
        return self.all[[int(i) for i in ids]]


def test_with_meaning_more_neighbours_share_the_words():
    """A control: captions of other pictures have no meaning to find, and change nothing for the better."""
    features, captions = features_and_captions()
    ids = [str(n) for n in range(PICTURES)]
    moved = [captions[n] for n in RNG.permutation(PICTURES)]

    def share(said, weight):
        memory = Memory.of(Seen(features), ids[:200], said[:200])
        nearest, likeness = memory.alike(features[200:].astype(np.float32), 10, weight)
        assert (np.diff(likeness, axis=1) <= 0).all() and likeness.max() <= 1.001
        return np.mean([[captions[n] == captions[200 + row] for n in near] for row, near in enumerate(nearest)])

    assert share(captions, 1.0) > share(captions, 0.0) + 0.1
    assert share(moved, 1.0) < share(captions, 0.0) + 0.05
