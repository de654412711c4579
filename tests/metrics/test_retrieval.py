"""Ranks and recalls against rankings that are written out, and against sorting by brute force."""

import numpy as np
import pytest

from capsmith.metrics.retrieval import Ranks, retrieval_scores

IMAGES = np.eye(3, dtype=np.float32)
TEXTS = np.array([[0.9, 0.1, 0], [0.2, 0.8, 0], [0, 0.7, 0.1], [0.3, 0.3, 0.3]], np.float32)
OWNER = np.array([0, 0, 1, 2])


def test_by_hand():
    ranks = Ranks.of(IMAGES, TEXTS, OWNER)
    assert ranks.image_to_text.tolist() == [1, 2, 1]
    assert ranks.text_to_image.tolist() == [1, 2, 1, 3]  # the last caption is equally near to all images: a tie loses
    scores = {name: score.value for name, score in retrieval_scores(ranks, list("abc")).items()}
    assert scores["i2t_r1"] == pytest.approx(2 / 3) and scores["i2t_r5"] == 1
    assert scores["t2i_r1"] == pytest.approx(2 / 4) and scores["t2i_median"] == 1 and scores["i2t_median"] == 1
    assert scores["t2i_mean"] == pytest.approx(7 / 4) and scores["i2t_mean"] == pytest.approx(4 / 3)
    assert scores["recall"] == pytest.approx((2 / 3 + 1 + 1 + 1 / 2 + 1 + 1) / 6)


def test_ties_count_against_the_model():
    ranks = Ranks.of(np.ones((4, 2), np.float32), np.ones((8, 2), np.float32), np.arange(8) // 2)
    assert set(ranks.image_to_text) == {1 + 6} and set(ranks.text_to_image) == {4}


def test_by_brute_force(monkeypatch):
    monkeypatch.setattr("capsmith.metrics.retrieval._BLOCK", 5)
    rng = np.random.default_rng(0)
    owner = np.sort(np.concatenate([np.arange(9), rng.integers(0, 9, 14)]))
    images, texts = rng.normal(size=(9, 4)).astype(np.float32), rng.normal(size=(23, 4)).astype(np.float32)
    ranks, cosines = Ranks.of(images, texts, owner), images @ texts.T
    for image in range(9):
        order = np.argsort(-cosines[image]).tolist()
        wrong = [caption for caption in order if owner[caption] != image]
        best = next(caption for caption in order if owner[caption] == image)
        assert ranks.image_to_text[image] == 1 + sum(cosines[image, n] > cosines[image, best] for n in wrong)
    for caption in range(23):
        assert ranks.text_to_image[caption] == 1 + np.argsort(-cosines[:, caption]).tolist().index(owner[caption])


def test_intervals_signatures_and_names():
    rng = np.random.default_rng(0)
    owner = np.arange(100) // 2
    images = rng.normal(size=(50, 8)).astype(np.float32)
    texts = images[owner] + 1.5 * rng.normal(size=(100, 8)).astype(np.float32)
    scores = retrieval_scores(Ranks.of(images, texts, owner), [str(n) for n in range(50)], "csls")
    score = scores["t2i_r1_csls"]
    low, high = score.interval
    assert low < score.value < high and "similarity:csls" in score.signature and "captions:100" in score.signature
    assert np.mean(list(score.per_image.values())) == pytest.approx(score.value)
    low, high = scores["t2i_median_csls"].interval
    assert low <= scores["t2i_median_csls"].value <= high
