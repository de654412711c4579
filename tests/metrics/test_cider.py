import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings

from capsmith.core.errors import DataError
from capsmith.metrics import CiderD, Scorer, score
from capsmith.metrics.cider import END, SIGMA
from tests.support.captions import ADVERSARIAL, SENTENCES, corpora
from tests.support.coco import scores as coco_scores


def slow_cider(hypothesis, references, corpus, plain=False):
    """CIDEr-D of one image, straight from the paper's equations; ``corpus`` gives the document frequencies."""

    def vector(tokens, n):
        found = Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
        vector = {}
        for gram, count in found.items():
            n = len(gram)
            images = sum(any(gram == tuple(s[i : i + n]) for s in group for i in range(len(s))) for group in corpus)
            vector[gram] = count * (math.log(len(corpus)) - math.log(max(1, images)))
        return vector

    total = 0.0
    for n in range(1, 5):
        mine = vector(hypothesis, n)
        for reference in references:
            theirs = vector(reference, n)
            dot = sum((w if plain else min(w, theirs.get(g, 0))) * theirs.get(g, 0) for g, w in mine.items())
            norms = math.sqrt(sum(w * w for w in mine.values())) * math.sqrt(sum(w * w for w in theirs.values()))
            apart = max(0, len(hypothesis) - 1) - max(0, len(reference) - 1)
            factor = 1 if plain else math.exp(-(apart**2) / (2 * SIGMA**2))
            total += (dot / norms if norms else 0) * factor / len(references)
    return 10 * total / 4


def check(corpus):
    ours, (value, each) = score(*corpus, ["cider"], "none")["cider"], coco_scores(*corpus, names=["cider"])["cider"]
    assert ours.value == pytest.approx(value, abs=1e-9)
    assert list(ours.per_image.values()) == pytest.approx(each.tolist(), abs=1e-9)


@settings(deadline=None, max_examples=60)
@given(corpora())
def test_equal_to_coco_caption_on_random_captions(corpus):
    check(corpus)


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_equal_to_coco_caption_on_adversarial_captions(name):
    check(ADVERSARIAL[name])


@settings(deadline=None, max_examples=30)
@given(corpora(references=SENTENCES, images=4))
def test_equal_to_the_papers_equations(corpus):
    hypotheses, references = corpus
    found = score(*corpus, ["cider", "cider_plain"], "none")
    for name, plain in (("cider", False), ("cider_plain", True)):
        slow = [slow_cider(hypotheses[k], references[k], list(references.values()), plain) for k in references]
        assert list(found[name].per_image.values()) == pytest.approx(slow, abs=1e-9)


CORPUS = {
    "a": [["a", "dog", "runs", "in", "the", "snow"], ["the", "dog", "is", "running"]],
    "b": [["two", "people", "sit"], ["people", "sit", "in", "the", "park"]],
    "c": [["a", "cat", "sleeps"]],
}
TRAIN = {
    "t1": [["a", "dog", "sits"], ["the", "dog", "in", "a", "car"]],
    "t2": [["a", "man", "runs"]],
    "t3": [["the", "dog", "runs", "in", "the", "grass"]],
    "t4": [["a", "plane"]],
}


def test_without_options_cider_d_is_cider():
    found = score({"a": "a dog runs", "b": "people sit", "c": "a cat"}, texts(CORPUS), ["cider", "cider_d"])
    assert found["cider_d"].per_image == found["cider"].per_image
    assert "df:references" in found["cider_d"].signature and "end:no" in found["cider_d"].signature


def texts(corpus):
    return {key: [" ".join(tokens) for tokens in group] for key, group in corpus.items()}


def test_frequencies_from_the_train_split():
    hypotheses = {"a": ["the", "dog", "runs", "far"], "b": ["people", "in", "a", "car"], "c": ["a", "cat"]}
    scorer = Scorer(CORPUS, ["cider_d"], "none", frequencies=TRAIN, frequencies_name="train")
    found = scorer.score(hypotheses)["cider_d"]
    # "in a car" is in no reference of b, but known to the train split: it weighs less than an unknown n-gram.
    slow = [slow_cider(hypotheses[k], CORPUS[k], list(TRAIN.values())) for k in CORPUS]
    assert list(found.per_image.values()) == pytest.approx(slow, abs=1e-12)
    assert "df:train" in found.signature
    with_own = score(hypotheses, CORPUS, ["cider_d"], "none")["cider_d"]
    assert found.value != pytest.approx(with_own.value, abs=1e-3)


def test_the_end_counts_as_a_word():
    hypotheses = {"a": ["the", "dog", "is"], "b": ["people", "sit"], "c": ["a", "cat", "sleeps"]}
    found = Scorer(CORPUS, ["cider_d"], "none", end=True).score(hypotheses)["cider_d"]
    ended = {key: [[*tokens, END] for tokens in group] for key, group in CORPUS.items()}
    slow = [slow_cider([*hypotheses[k], END], ended[k], list(ended.values())) for k in CORPUS]
    assert list(found.per_image.values()) == pytest.approx(slow, abs=1e-12)
    assert "end:yes" in found.signature


def test_reward_equals_scoring():
    reward = CiderD(CORPUS, frequencies=TRAIN, end=None)
    ids = ["c", "a", "a", "b"]
    hypotheses = [["a", "cat"], ["the", "dog"], [], ["people", "sit", "in", "a", "car"]]
    slow = [slow_cider(h, CORPUS[k], list(TRAIN.values())) for k, h in zip(ids, hypotheses, strict=True)]
    assert reward.reward(ids, hypotheses) == pytest.approx(slow, abs=1e-12)


def test_reward_of_integer_tokens_equals_that_of_words():
    number = {}
    for group in [*CORPUS.values(), *TRAIN.values()]:
        for tokens in group:
            for token in tokens:
                number.setdefault(token, len(number) + 4)

    def code(groups):
        return {key: [[number[t] for t in tokens] for tokens in group] for key, group in groups.items()}

    words, numbers = CiderD(CORPUS, TRAIN), CiderD(code(CORPUS), code(TRAIN), end=2)
    hypotheses = [["the", "dog", "runs"], ["a", "cat", "sleeps"]]
    coded = [np.array([number[t] for t in tokens]) for tokens in hypotheses]
    assert numbers.reward(["a", "c"], coded) == pytest.approx(words.reward(["a", "c"], hypotheses), abs=1e-12)


def test_only_finished_sentences_get_the_end():
    reward = CiderD(CORPUS)
    sentence = ["a", "dog", "runs", "in", "the", "snow"]
    done, broken = reward.reward(["a", "a"], [sentence, sentence], finished=[True, False])
    assert done > broken
    assert reward.reward(["a"], [sentence]) == pytest.approx([done])


def test_a_batch_of_80_is_quick():
    import time

    references = {
        key: [[f"w{(key * 7 + k * 3 + i) % 900}" for i in range(11)] for k in range(5)] for key in range(1000)
    }
    reward = CiderD(references)
    batch = [references[key][0] for key in range(80)]
    times = []
    for _ in range(20):
        start = time.perf_counter()
        reward.reward(range(80), batch)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.010


def test_bad_rewards_are_told():
    with pytest.raises(DataError, match="no references for image b"):
        CiderD({"a": [["x"]], "b": []})
    with pytest.raises(DataError, match="no references for image z"):
        CiderD(CORPUS).reward(["z"], [["a"]])
    with pytest.raises(DataError, match="no references"):
        CiderD({})
