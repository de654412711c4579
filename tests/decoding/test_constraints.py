"""Tokens that no search may choose: repetitions, special tokens, and an end token before the minimum length."""

import numpy as np
import pytest

from capsmith.data.text.vocabulary import END, PAD, START, UNK
from capsmith.decoding.search import BeamConfig, GreedyConfig, SampleConfig, search
from tests.support.table_model import Table, features, sentences


def repeats(words, size):
    runs = [words[i : i + size] for i in range(len(words) - size + 1)]
    return len(runs) != len(set(runs))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_no_ngram_is_repeated(size):
    """A wide beam finds exactly the sentences without a repetition; greedy search emits none either."""
    model, longest = Table(2, seed=7), 5
    config = BeamConfig(beam_size=400, max_length=longest, min_length=0, no_repeat=size)
    for found in search(model, features(2), config):
        expected = {words for words in sentences(longest) if not repeats(words, size)}
        assert {h.tokens for h in found if h.ended} == expected
    greedy = [h[0].tokens for h in search(model, features(2), GreedyConfig(max_length=12, no_repeat=size))]
    assert not any(repeats(words, size) for words in greedy)
    drawn = search(model, features(2), SampleConfig(samples=40, max_length=12, no_repeat=size))
    assert not any(repeats(h.tokens, size) for found in drawn for h in found)
    free = search(model, features(2), SampleConfig(samples=40, max_length=12))
    assert any(repeats(h.tokens, size) for found in free for h in found)


@pytest.mark.parametrize(
    "config", [GreedyConfig(max_length=7), BeamConfig(beam_size=3, max_length=7), SampleConfig(max_length=7)]
)
def test_a_model_that_never_ends_still_gives_a_caption(config):
    model = Table(3)
    model.table[..., END] = -np.inf
    for found in search(model, features(3), config):
        assert len(found[0].tokens) == 7
        assert not found[0].ended


@pytest.mark.parametrize("config", [GreedyConfig(), BeamConfig(beam_size=4), SampleConfig(samples=3)])
def test_specials_are_never_emitted(config):
    model = Table(10, seed=4)
    model.table[..., [PAD, UNK, START]] += 50
    for found in search(model, features(10), config):
        for hypothesis in found:
            assert not {PAD, UNK, START, END} & set(hypothesis.tokens)
            assert len(hypothesis.tokens) >= 1
