"""Greedy search and sampling over a small table model."""

import numpy as np
import pytest

from capsmith.data.text.vocabulary import END, PAD, START, UNK
from capsmith.decoding.namespace import NumpyNamespace
from capsmith.decoding.sampling import truncated_weights
from capsmith.decoding.search import GreedyConfig, SampleConfig, search
from tests.support.reference_search import truncated
from tests.support.table_model import A, B, C, Table, features


def test_greedy_takes_the_most_probable_token():
    model = Table(20, seed=2)
    for image, (found,) in enumerate(search(model, features(20), GreedyConfig(max_length=6, min_length=1))):
        before, word, words = PAD, START, []
        while len(words) < 6:
            scores = model.table[image, before, word].copy()
            scores[[PAD, UNK, START]] = -np.inf
            if not words:
                scores[END] = -np.inf
            before, word = word, int(scores.argmax())
            if word == END:
                break
            words.append(word)
        assert found.tokens == tuple(words)
        assert found.ended == (word == END)
        np.testing.assert_allclose(found.log_probability, model.log_probability(image, words, found.ended), rtol=1e-5)


def test_sampling_follows_the_distribution():
    model = Table(1, seed=8)
    drawn = search(model, features(1), SampleConfig(samples=40_000, max_length=2, min_length=1, seed=1))[0]
    allowed = np.exp(model.table[0, PAD, START, [A, B, C]])
    first = np.array([np.mean([h.tokens[0] == word for h in drawn]) for word in (A, B, C)])
    np.testing.assert_allclose(first, allowed / allowed.sum(), atol=0.01)


@pytest.mark.parametrize("limit", [{"top_k": 1}, {"top_p": 1e-6}, {"temperature": 1e-4}])
def test_sampling_from_one_token_is_greedy(limit):
    model = Table(30, seed=9)
    greedy = search(model, features(30), GreedyConfig(max_length=6))
    sampled = search(model, features(30), SampleConfig(max_length=6, **limit))
    assert [h[0].tokens for h in greedy] == [h[0].tokens for h in sampled]


def test_top_p_keeps_the_fewest_tokens_that_reach_the_probability():
    model = Table(1)
    model.table[0, PAD, START] = -np.inf
    model.table[0, PAD, START, [A, B, C]] = np.log([0.5, 0.3, 0.2])
    for top_p, kept in ((0.5, {A}), (0.51, {A, B}), (0.8, {A, B}), (0.81, {A, B, C})):
        drawn = search(model, features(1), SampleConfig(samples=2000, max_length=1, top_p=top_p))[0]
        assert {h.tokens[0] for h in drawn} == kept


@pytest.mark.parametrize("sharpness", [0.0, 0.1, 1.0, 6.0])
@pytest.mark.parametrize("top_p", [1e-6, 0.3, 0.9, 0.999])
def test_top_p_over_many_tokens_equals_sorting_them(top_p, sharpness):
    """Peaked and flat distributions over an unsorted vocabulary; some tokens are impossible."""
    logits = np.random.default_rng(3).normal(scale=1, size=(40, 3000)).astype(np.float32)
    logits = (logits * sharpness).astype(np.float32) + np.linspace(0, 1e-3, 3000, dtype=np.float32)
    logits[:, :4] = -np.inf
    kept = truncated_weights(NumpyNamespace(), logits, None, np.float32(top_p), np.zeros(40, bool)) > 0
    expected = np.array([np.isfinite(truncated(row.astype(float), None, top_p)) for row in logits])
    assert np.abs(kept.sum(axis=1) - expected.sum(axis=1)).max() <= 3  # the last bits of sums over 3,000 tokens
    assert (kept != expected).mean() < 1e-3
