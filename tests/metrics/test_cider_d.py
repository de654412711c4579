import pytest

from capsmith.metrics import Scorer, score
from capsmith.metrics.cider_d import END
from tests.support.slow_cider import CORPUS, TRAIN, slow_cider


def texts(corpus):
    return {key: [" ".join(tokens) for tokens in group] for key, group in corpus.items()}


def test_without_options_cider_d_is_cider():
    found = score({"a": "a dog runs", "b": "people sit", "c": "a cat"}, texts(CORPUS), ["cider", "cider_d"])
    assert found["cider_d"].per_image == found["cider"].per_image
    assert "df:references" in found["cider_d"].signature and "end:no" in found["cider_d"].signature


def test_frequencies_from_the_train_split():
    hypotheses = {"a": ["the", "dog", "runs", "far"], "b": ["people", "in", "a", "car"], "c": ["a", "cat"]}
    scorer = Scorer(CORPUS, ["cider_d"], "none", frequencies=TRAIN, frequencies_name="train")
    found = scorer.score(hypotheses)["cider_d"]
    # "in a car" is in no reference of b, but in the train split: it weighs less than an unknown n-gram.
    slow = [slow_cider(hypotheses[k], CORPUS[k], list(TRAIN.values())) for k in CORPUS]
    assert list(found.per_image.values()) == pytest.approx(slow, abs=1e-12)
    assert "df:train" in found.signature
    with_own = score(hypotheses, CORPUS, ["cider_d"], "none")["cider_d"]
    assert found.value != pytest.approx(with_own.value, abs=1e-3)


def test_the_end_token_counts_as_a_word():
    hypotheses = {"a": ["the", "dog", "is"], "b": ["people", "sit"], "c": ["a", "cat", "sleeps"]}
    found = Scorer(CORPUS, ["cider_d"], "none", end=True).score(hypotheses)["cider_d"]
    ended = {key: [[*tokens, END] for tokens in group] for key, group in CORPUS.items()}
    slow = [slow_cider([*hypotheses[k], END], ended[k], list(ended.values())) for k in CORPUS]
    assert list(found.per_image.values()) == pytest.approx(slow, abs=1e-12)
    assert "end:yes" in found.signature
