import math

import numpy as np
import pytest

from capsmith.metrics.cider import CiderScorer
from capsmith.metrics.ngrams import ReferenceNgrams
from capsmith.metrics.tfidf import inverse_document_frequency
from tests.support.slow_cider import CORPUS


def test_inverse_document_frequency_is_zero_for_an_ngram_of_every_image():
    idf = inverse_document_frequency(np.array([3, 1, 0]), images=3)
    assert idf.tolist() == [0.0, math.log(3), math.log(3), math.log(3)]


@pytest.mark.parametrize("plain", [False, True])
def test_contributions_add_up_to_the_scores(plain):
    references = ReferenceNgrams(list(CORPUS.values()))
    scorer = CiderScorer(references, plain)
    hypotheses = [["a", "dog", "runs", "runs"], ["the", "park"], [], ["people", "sit", "in", "a", "car"]]
    counts, images = references.index.encode(hypotheses), np.array([0, 1, 2, 1])
    points = scorer.contributions(counts, images)
    summed = np.bincount(counts.sentence, weights=points, minlength=4)
    assert summed.max() > 0.5
    np.testing.assert_allclose(summed, scorer.scores(counts, images), atol=1e-12)
