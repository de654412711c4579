"""Agreement against CIDEr-D of the metrics, which is held to coco-caption's numbers."""

import numpy as np
import pytest

from capsmith.metrics.agreement import DocumentFrequencies, agreement
from capsmith.metrics.cider import CiderD


def sentences(rng, count, words, start=4, longest=12):
    return [tuple(rng.integers(start, start + words, rng.integers(0, longest)).tolist()) for _ in range(count)]


@pytest.mark.parametrize(("words", "start"), [(3, 4), (10, 4), (60, 70_000)])
def test_each_pair_is_cider_d_with_the_voter_as_the_only_reference(words, start):
    rng = np.random.default_rng(words)
    training = [sentences(rng, 5, words, start) for _ in range(30)]
    candidates, voters = sentences(rng, 9, words, start), sentences(rng, 13, words + 2, start)
    found = agreement(candidates, voters, DocumentFrequencies(training))
    frequencies = dict(enumerate(training))
    expected = np.stack(
        [CiderD({0: [voter]}, frequencies, end=None).reward([0] * 9, candidates) for voter in voters], axis=1
    )
    assert found.shape == (9, 13) and expected.max() > 0.3
    np.testing.assert_allclose(found, expected, atol=1e-9)
    together = CiderD({0: voters}, frequencies, end=None).reward([0] * 9, candidates)
    np.testing.assert_allclose(found.mean(axis=1), together, atol=1e-9)


def test_a_caption_agrees_with_itself_fully():
    frequencies = DocumentFrequencies([[(4, 5, 6, 7, 8)], [(9, 10)]])
    found = agreement([(4, 5, 6, 7, 8), (9, 10)], [(4, 5, 6, 7, 8), (9, 10)], frequencies)
    np.testing.assert_allclose(found, [[10, 0], [0, 5]], atol=1e-9)  # two words have no trigram to agree in


def test_nothing_to_compare():
    frequencies = DocumentFrequencies([[(4, 5)]])
    assert agreement([], [(4, 5)], frequencies).shape == (0, 1)
    assert agreement([(4, 5)], [], frequencies).shape == (1, 0)
    assert agreement([()], [()], frequencies).tolist() == [[0.0]]
    assert agreement([(5,)], [(5,)], DocumentFrequencies([])).tolist() == [[0.0]]
