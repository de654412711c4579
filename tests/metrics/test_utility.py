"""The pairwise utility against the CIDEr-D of the reward, which the tests compare with coco-caption."""

import numpy as np
import pytest

from capsmith.metrics import utility as utility_module
from capsmith.metrics.reward import CiderReward
from capsmith.metrics.utility import DocumentFrequencies, pairwise_utility


def sentences(rng, count, words, start=4, longest=12):
    return [tuple(rng.integers(start, start + words, rng.integers(0, longest)).tolist()) for _ in range(count)]


@pytest.mark.parametrize(("words", "start"), [(3, 4), (10, 4), (60, 70_000)])
def test_utility_of_a_pair_is_cider_d_with_one_reference(words, start):
    rng = np.random.default_rng(words)
    training = [sentences(rng, 5, words, start) for _ in range(30)]
    candidates, evidence = sentences(rng, 9, words, start), sentences(rng, 13, words + 2, start)
    utility = pairwise_utility(candidates, evidence, DocumentFrequencies(training))
    frequencies = dict(enumerate(training))
    expected = np.stack(
        [CiderReward({0: [caption]}, frequencies, end=None).reward([0] * 9, candidates) for caption in evidence], axis=1
    )
    assert utility.shape == (9, 13) and expected.max() > 0.3
    np.testing.assert_allclose(utility, expected, atol=1e-9)
    against_all = CiderReward({0: evidence}, frequencies, end=None).reward([0] * 9, candidates)
    np.testing.assert_allclose(utility.mean(axis=1), against_all, atol=1e-9)


def test_utility_of_a_caption_with_itself_is_10():
    frequencies = DocumentFrequencies([[(4, 5, 6, 7, 8)], [(9, 10)]])
    utility = pairwise_utility([(4, 5, 6, 7, 8), (9, 10)], [(4, 5, 6, 7, 8), (9, 10)], frequencies)
    np.testing.assert_allclose(utility, [[10, 0], [0, 5]], atol=1e-9)  # two words have no trigrams


def test_empty_captions_and_sets():
    frequencies = DocumentFrequencies([[(4, 5)]])
    assert pairwise_utility([], [(4, 5)], frequencies).shape == (0, 1)
    assert pairwise_utility([(4, 5)], [], frequencies).shape == (1, 0)
    assert pairwise_utility([()], [()], frequencies).tolist() == [[0.0]]
    assert pairwise_utility([(5,)], [(5,)], DocumentFrequencies([])).tolist() == [[0.0]]


def test_blocks_of_candidates_give_the_same_utility(monkeypatch):
    rng = np.random.default_rng(0)
    candidates, evidence = sentences(rng, 9, 5), sentences(rng, 13, 5)
    frequencies = DocumentFrequencies([sentences(rng, 5, 5) for _ in range(20)])
    expected = pairwise_utility(candidates, evidence, frequencies)
    monkeypatch.setattr(utility_module, "_MOST_PAIRS", 30)
    np.testing.assert_array_equal(pairwise_utility(candidates, evidence, frequencies), expected)
