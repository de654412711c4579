"""CSLS and inverted softmax, against figures computed by hand."""

import numpy as np
import pytest

from capsmith.retrieval.popularity import Popularity, corrected, csls, inverted_softmax, popularity

COSINES = np.array([[0.9, 0.8, 0.1], [0.5, 0.7, 0.2]], np.float32)


def test_popularity_is_measured_against_the_nearest_images():
    bank = np.array([[1, 0], [0.6, 0.8], [0, 1]], np.float32)
    texts = np.array([[1, 0], [0.8, 0.6]], np.float32)  # cosines 1, .6, 0 and .8, .96, .6
    measured = popularity(texts, bank, neighbours=2, temperature=0.5)
    assert measured.neighbours == pytest.approx([(1 + 0.6) / 2, (0.8 + 0.96) / 2])
    mean = (np.exp(2) + np.exp(1.2) + 1) / 3  # exp(cosine / T)
    assert measured.softmax[0] == pytest.approx(0.5 * np.log(mean))


def test_popularity_in_blocks_is_the_same(monkeypatch):
    random = np.random.default_rng(3)
    texts, bank = random.normal(size=(50, 8)).astype(np.float32), random.normal(size=(7, 8)).astype(np.float32)
    complete = popularity(texts, bank)
    monkeypatch.setattr("capsmith.retrieval.popularity._BLOCK", 21)
    in_blocks = popularity(texts, bank)
    np.testing.assert_allclose(in_blocks.neighbours, complete.neighbours, rtol=1e-5)
    np.testing.assert_allclose(in_blocks.softmax, complete.softmax, rtol=1e-5)


def test_csls_by_hand():
    texts = Popularity(np.array([0.6, 0.3, 0.1], np.float32), np.zeros(3, np.float32))
    scores = csls(COSINES, texts, neighbours=2)  # r of the images: .85 and .6
    expected = [
        [1.8 - 0.85 - 0.6, 1.6 - 0.85 - 0.3, 0.2 - 0.85 - 0.1],
        [1 - 0.6 - 0.6, 1.4 - 0.6 - 0.3, 0.4 - 0.6 - 0.1],
    ]
    np.testing.assert_allclose(scores, expected, atol=1e-6)
    assert scores[0].argmax() == 1 and COSINES[0].argmax() == 0  # the popular text has lost its place


def test_inverted_softmax_orders_as_the_softmax_over_images():
    """P(text | image) is proportional to exp(cos / T) over its sum for all images of the bank."""
    random = np.random.default_rng(1)
    unit = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in random.normal(size=(3, 20, 6))]
    images, texts, bank = (vectors.astype(np.float32) for vectors in unit)
    scores = inverted_softmax(images @ texts.T, popularity(texts, bank, temperature=0.1))
    shares = np.exp(images @ texts.T / 0.1) / np.exp(bank @ texts.T / 0.1).sum(axis=0)
    assert (np.argsort(-scores, axis=1) == np.argsort(-shares, axis=1)).all()


def test_no_correction_leaves_the_cosines():
    assert corrected(COSINES, "none") is COSINES
    with pytest.raises(ValueError):
        corrected(COSINES, "csls")
