import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capsmith.metrics import score
from capsmith.metrics.bleu import bleu_from_counts
from tests.support.captions import ADVERSARIAL, corpora
from tests.support.coco import scores as coco_scores

BLEU = ["bleu1", "bleu2", "bleu3", "bleu4"]


def values(hypotheses, references):
    return [found.value for found in score(hypotheses, references, ["bleu"], "none").values()]


def nltk_values(hypotheses, references):
    bleu = pytest.importorskip("nltk.translate.bleu_score")
    weights = [tuple(1 / n if k < n else 0 for k in range(4)) for n in range(1, 5)]
    truth, given_ = [references[key] for key in hypotheses], list(hypotheses.values())
    return bleu.corpus_bleu(truth, given_, weights)


def sacrebleu_values(hypotheses, references):
    bleu = pytest.importorskip("sacrebleu.metrics")
    most = max(map(len, references.values()))
    streams = [[" ".join(group[k]) if k < len(group) else None for group in references.values()] for k in range(most)]
    lines = [" ".join(hypotheses[key]) for key in references]
    found = []
    for order in range(1, 5):
        metric = bleu.BLEU(tokenize="none", smooth_method="none", max_ngram_order=order, force=True)
        found.append(metric.corpus_score(lines, streams).score / 100)
    return found


def test_bleu_by_hand():
    hypotheses = {"a": ["the"] * 7, "b": ["a", "dog", "runs", "far"]}
    references = {
        "a": [["the", "cat", "is", "on", "the", "mat"], ["a", "cat", "is", "on", "the", "mat"]],
        "b": [["a", "dog", "runs"], ["a", "dog", "runs", "very", "far"]],
    }
    # Clipped: "the" 2 of 7; a, dog, runs, far 4 of 4. Bigrams: 0 of 6, "a dog" and "dog runs" 2 of 3.
    # Lengths 7 + 4, closest references 6 + 3 (3 and 5 are equally close; the shorter one counts).
    one, two, *_ = values(hypotheses, references)
    assert one == pytest.approx(6 / 11, abs=1e-15)
    assert two == pytest.approx(math.sqrt(6 / 11 * 2 / 9), abs=1e-15)


def test_brevity_penalty_by_hand():
    one = values({"a": ["a", "dog"]}, {"a": [["a", "dog", "runs", "far"]]})[0]
    assert one == pytest.approx(math.exp(1 - 4 / 2), abs=1e-15)


@pytest.mark.filterwarnings("ignore::UserWarning:nltk")
@settings(deadline=None, max_examples=30)
@given(corpora(hypotheses=st.lists(st.sampled_from("abcd"), min_size=4, max_size=12)))
def test_equal_to_nltk(corpus):
    assert values(*corpus) == pytest.approx(nltk_values(*corpus), abs=1e-12)


def test_nltk_counts_an_ngram_that_a_short_caption_does_not_have():
    hypotheses = {"a": ["a", "dog"], "b": ["a", "dog", "runs", "far"]}
    references = {key: [["a", "dog", "runs", "far"]] for key in hypotheses}
    ours, theirs = values(hypotheses, references), nltk_values(hypotheses, references)
    assert ours[0] == pytest.approx(theirs[0], abs=1e-12)
    assert ours[3] > theirs[3] + 0.05
    assert ours == pytest.approx(sacrebleu_values(hypotheses, references), abs=1e-9)


@settings(deadline=None, max_examples=60)
@given(corpora())
def test_equal_to_sacrebleu_on_random_captions(corpus):
    assert values(*corpus) == pytest.approx(sacrebleu_values(*corpus), abs=1e-9)


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_equal_to_sacrebleu_on_adversarial_captions(name):
    assert values(*ADVERSARIAL[name]) == pytest.approx(sacrebleu_values(*ADVERSARIAL[name]), abs=1e-9)


@settings(deadline=None, max_examples=40)
@given(corpora(hypotheses=st.lists(st.sampled_from("abcd"), min_size=4, max_size=12)))
def test_equal_to_coco_caption(corpus):
    # coco-caption adds 1e-15 to matches and 1e-9 to totals: never zero, and slightly different for small counts.
    theirs = coco_scores(*corpus, names=["bleu"])
    for name, ours in zip(BLEU, values(*corpus), strict=True):
        if ours > 0:
            assert ours == pytest.approx(theirs[name][0], abs=1e-8)


def test_another_caption_gets_another_score():
    references = {"a": [["a", "dog", "runs", "far", "away"]]}
    whole, cut = values({"a": ["a", "dog", "runs", "far", "away"]}, references), values({"a": ["a", "dog"]}, references)
    assert whole == [1, 1, 1, 1]
    assert cut[0] < 1 and cut[3] == 0


def test_statistics_can_be_added_in_batches():
    rows = np.array([[4, 4, 3, 2, 1, 1, 4, 3, 2, 1], [2, 4, 2, 1, 0, 0, 2, 1, 0, 0]], np.float64)
    each = bleu_from_counts(rows, 2)
    assert each.shape == (2,)
    assert each[0] == pytest.approx(math.sqrt(3 / 4 * 2 / 3))
    assert each[1] == pytest.approx(math.exp(1 - 2))
