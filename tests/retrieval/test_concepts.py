"""The concept predictor: comparison with ridge regression, irrelevant channels, and scores of captions."""

from types import SimpleNamespace

import numpy as np
import pytest

from capsmith.data.text.vocabulary import END, UNK
from capsmith.decoding.hypotheses import Hypothesis
from capsmith.decoding.rerank.config import MbrConfig
from capsmith.decoding.rerank.mbr import MbrReranker
from capsmith.retrieval.caption_index import CaptionIndex
from capsmith.retrieval.concepts import ConceptPredictor, semantic_directions

RNG = np.random.default_rng(5)
IMAGES, CHANNELS = 300, 12
DOG, CAT, ALWAYS = 10, 11, 12


def features_and_captions():
    """Channel 0 varies most and is irrelevant; the sign of channel 3 decides between two words."""
    features = RNG.normal(size=(IMAGES, CHANNELS))
    features[:, 0] *= 20
    features -= features.mean(axis=0)
    return features, [[(DOG if row[3] > 0 else CAT, ALWAYS), (ALWAYS, UNK, END)] for row in features]


def test_with_one_word_it_equals_ridge_regression():
    features, _ = features_and_captions()
    captions = [[(DOG,)] if row[3] > 0.5 else [()] for row in features]
    there = np.array([bool(group[0]) for group in captions], float)
    covariance = features.T @ features / IMAGES
    ridge = 0.3 * np.trace(covariance) / CHANNELS
    expected = np.linalg.solve(covariance + ridge * np.eye(CHANNELS), features.T @ (there - there.mean()))
    found = semantic_directions(features, captions)
    assert found.shape == (CHANNELS, 1)
    cosine = found[:, 0] @ expected / np.linalg.norm(found) / np.linalg.norm(expected)
    assert abs(cosine) == pytest.approx(1, abs=1e-5)


def test_an_irrelevant_channel_of_high_variance_is_ignored():
    features, captions = features_and_captions()
    along = features @ semantic_directions(features, captions)
    deciding, loud = (abs(np.corrcoef(along[:, 0], features[:, channel])[0, 1]) for channel in (3, 0))
    assert deciding > 0.8 and loud < deciding / 2


def test_captions_of_only_rare_words_or_none():
    features, captions = features_and_captions()
    rare = [[(100 + n // 9, UNK)] for n in range(IMAGES)]  # nine images per word
    assert (
        semantic_directions(features, rare).shape
        == semantic_directions(features, [[()]] * IMAGES).shape
        == (CHANNELS, 0)
    )
    assert semantic_directions(features[:5], captions[:5]).shape == (CHANNELS, 0)


class Seen:
    def __init__(self, features):
        self.all = features.astype(np.float32)

    def features(self, ids):
        return self.all[[int(i) for i in ids]]


def test_projected_features_have_neighbours_with_more_shared_words():
    """A control: projections learned from captions of other images bring no improvement."""
    features, captions = features_and_captions()
    ids = [str(n) for n in range(IMAGES)]
    moved = [captions[n] for n in RNG.permutation(IMAGES)]

    def share(said, weight):
        index = CaptionIndex.build(Seen(features), ids[:200], said[:200])
        nearest, likeness = index.nearest(features[200:].astype(np.float32), 10, weight)
        assert (np.diff(likeness, axis=1) <= 0).all() and likeness.max() <= 1.001
        return np.mean([[captions[n] == captions[200 + row] for n in near] for row, near in enumerate(nearest)])

    assert share(captions, 1.0) > share(captions, 0.0) + 0.1
    assert share(moved, 1.0) < share(captions, 0.0) + 0.05


def test_predicted_words_equal_ridge_regression():
    """With as many directions as words, reducing the rank loses nothing."""
    features, captions = features_and_captions()
    content = ConceptPredictor.fit(features, captions)
    there = np.array([[float(any(word in c for c in group)) for word in content.tokens] for group in captions])
    share = np.array([[np.mean([word in c for c in group]) for word in content.tokens] for group in captions])
    assert content.tokens.tolist() == [DOG, CAT, ALWAYS]
    np.testing.assert_allclose(content.idf, -np.log(there.mean(axis=0)))
    target = share * content.idf
    target /= np.linalg.norm(target, axis=1, keepdims=True)
    target -= target.mean(axis=0)
    covariance = features.T @ features / IMAGES
    ridge = 0.1 * np.trace(covariance) / CHANNELS
    solved = np.linalg.solve(covariance + ridge * np.eye(CHANNELS), features.T @ target / IMAGES)
    expected = features @ solved
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(content.predict(features), expected, atol=1e-4)


def test_the_concept_score_of_a_caption_by_hand():
    """Words of rarity 3 and 4 predicted with 0.5 and 0.25, divided by the root of the norm 5 of their rarities."""
    content = ConceptPredictor(np.array([7, 8, 9]), np.array([3.0, 4.0, 0.0]), np.zeros((2, 1)), np.zeros((1, 3)))
    spoken = np.array([0.5, 0.25, 0.9])
    fits = content.score(spoken, [(7, 8, 7), (7,), (9, 99), (99,), ()])
    np.testing.assert_allclose(fits, [(3 * 0.5 + 4 * 0.25) / 5**0.5, 1.5 / 3**0.5, 0, 0, 0])


def test_words_of_new_images_are_predicted():
    """A control: predictors learned from captions of other images are at chance level."""
    features, captions = features_and_captions()
    moved = [captions[n] for n in RNG.permutation(IMAGES)]

    def right(said):
        content = ConceptPredictor.fit(features[:200], said[:200])
        fits = [content.score(row, [(DOG, ALWAYS), (CAT, ALWAYS)]) for row in content.predict(features[200:])]
        return np.mean([fit.argmax() == (group[0][0] == CAT) for fit, group in zip(fits, captions[200:], strict=True)])

    assert right(captions) > 0.9
    assert 0.25 < right(moved) < 0.75


def test_an_index_prefers_captions_with_the_predicted_words():
    """From unscaled features to the choice; a control: with captions of other images it is at chance level."""
    features, captions = features_and_captions()
    features = features * 7 + 100
    ids = [str(n) for n in range(IMAGES)]
    pool = [Hypothesis((word, ALWAYS), -1.0, -1.0, True) for word in (DOG, CAT)]
    reranker = MbrReranker(MbrConfig(utility_weight=0, knn_weight=0, log_prob_weight=0, concept_weight=1))

    def right(said):
        index = CaptionIndex.build(Seen(features), ids[:200], said[:200])
        context = SimpleNamespace(caption_index=index)
        chosen = reranker.rerank([pool] * 100, features[200:].astype(np.float32), context)
        return np.mean([best.tokens == group[0] for (best, *_), group in zip(chosen, captions[200:], strict=True)])

    assert right(captions) > 0.9
    assert 0.25 < right([captions[n] for n in RNG.permutation(IMAGES)]) < 0.75


def test_an_empty_caption_scores_zero():
    features, _ = features_and_captions()
    content = ConceptPredictor.fit(features, [[()]] * IMAGES)
    assert content.predict(features).shape == (IMAGES, 0)
    assert content.score(np.zeros(0), [(DOG,), ()]).tolist() == [0, 0]
