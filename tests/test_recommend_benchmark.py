"""How the quality of recommendations is measured."""

import numpy as np
import pytest

from benchmarks.recommend import own_caption_ranks, recall_scores

OWNER = np.array([0, 0, 1, 1, 2])
SCORES = np.array([[0.9, 0.1, 0.8, 0.2, 0.1], [0.5, 0.6, 0.7, 0.4, 0.1], [0.3, 0.3, 0.3, 0.3, 0.3]])


def test_an_own_caption_is_ranked_among_the_captions_of_other_images():
    """Other own captions are no rivals; the last image shows that a tie counts against the caption."""
    assert own_caption_ranks(SCORES, OWNER).tolist() == [1, 4, 1, 3, 5]


def test_ranks_are_those_of_a_plain_loop():
    random = np.random.default_rng(0)
    owner, scores = np.repeat(np.arange(12), 3), random.normal(size=(12, 36)).round(1)
    expected = [
        1 + sum(scores[i, other] >= scores[i, caption] for other in range(36) if owner[other] != i)
        for caption, i in enumerate(owner)
    ]
    assert own_caption_ranks(scores, owner).tolist() == expected


def test_recall_is_the_mean_over_captions():
    scores = recall_scores(np.array([1, 4, 1, 3, 5]), OWNER, ["a", "b", "c"], "csls")
    assert scores["r1"].value == pytest.approx(2 / 5) and scores["r5"].value == 1
    assert scores["r1"].per_image == {"a": 0.5, "b": 0.5, "c": 0} and "correction:csls" in scores["r1"].signature
