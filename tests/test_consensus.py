"""The consensus against its definition written out, and what it chooses."""

import math
from collections import Counter

import numpy as np
import pytest

from capsmith.consensus import by_consensus, likeness
from capsmith.decoding import Hypothesis
from capsmith.text.vocabulary import Vocabulary

RARITY = np.random.default_rng(0).uniform(0.1, 3, 30)


def grams(sentence, n):
    found = Counter(tuple(sentence[i : i + n]) for i in range(len(sentence) - n + 1))
    return {gram: count * sum(RARITY[word] for word in gram) for gram, count in found.items()}


def by_definition(candidate, reference):
    total = 0.0
    for n in range(1, 5):
        mine, theirs = grams(candidate, n), grams(reference, n)
        norm = math.sqrt(sum(v * v for v in mine.values())) * math.sqrt(sum(v * v for v in theirs.values()))
        if norm:
            total += sum(min(value, theirs.get(gram, 0)) * theirs.get(gram, 0) for gram, value in mine.items()) / norm
    return math.exp(-((len(candidate) - len(reference)) ** 2) / 72) * total / 4


@pytest.mark.parametrize("seed", range(5))
def test_likeness_is_cider_d_with_these_weights(seed):
    rng = np.random.default_rng(seed)
    sentences = [tuple(rng.integers(4, 9 + 5 * seed, rng.integers(0, 12)).tolist()) for _ in range(7)]
    expected = [[by_definition(one, other) for other in sentences] for one in sentences]
    np.testing.assert_allclose(likeness(sentences, RARITY), expected, atol=1e-9)


def found(*sentences):
    return [Hypothesis(tuple(s), -float(i), -float(i), True) for i, s in enumerate(sentences)]


def test_the_one_that_the_others_resemble_comes_first():
    loner, shared, near, like = (4, 5, 6, 7, 8), (10, 11, 12, 13, 14), (10, 11, 12, 13, 15), (9, 11, 12, 13, 14)
    ordered = by_consensus(found(loner, near, like, shared), RARITY)
    assert ordered[0].tokens == shared
    assert ordered[-1].tokens == loner
    assert len(ordered) == 4


def test_two_captions_and_captions_alike_stay_in_their_order():
    two = found((4, 5), (6, 7))
    assert by_consensus(two, RARITY) == two
    alike = found((4, 5), (4, 5), (4, 5))
    assert by_consensus(alike, RARITY) == alike
    assert by_consensus(found((), (), ()), RARITY)[0].tokens == ()


def test_rarity_is_the_logarithm_of_captions_over_occurrences():
    vocabulary = Vocabulary.build([["a", "dog"], ["a", "a", "cat"], ["a", "dog"], ["two", "dog"]])
    says = dict(zip(vocabulary.words, vocabulary.rarity, strict=True))
    assert says["dog"] == pytest.approx(math.log(4 / 3))
    assert says["cat"] == pytest.approx(math.log(4))
    assert says["a"] == 0
    assert (Vocabulary(vocabulary.words).rarity == 1).all()
