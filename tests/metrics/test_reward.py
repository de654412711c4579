import time

import numpy as np
import pytest

from capsmith.core.errors import DataError
from capsmith.metrics import CiderReward
from tests.support.slow_cider import CORPUS, TRAIN, slow_cider


def test_reward_equals_scoring():
    reward = CiderReward(CORPUS, frequencies=TRAIN, end=None)
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

    words, numbers = CiderReward(CORPUS, TRAIN), CiderReward(code(CORPUS), code(TRAIN), end=2)
    hypotheses = [["the", "dog", "runs"], ["a", "cat", "sleeps"]]
    coded = [np.array([number[t] for t in tokens]) for tokens in hypotheses]
    assert numbers.reward(["a", "c"], coded) == pytest.approx(words.reward(["a", "c"], hypotheses), abs=1e-12)


def test_only_finished_sentences_get_the_end_token():
    reward = CiderReward(CORPUS)
    sentence = ["a", "dog", "runs", "in", "the", "snow"]
    finished, cut = reward.reward(["a", "a"], [sentence, sentence], finished=[True, False])
    assert finished > cut
    assert reward.reward(["a"], [sentence]) == pytest.approx([finished])


def test_a_batch_of_80_is_quick():
    references = {
        key: [[f"w{(key * 7 + k * 3 + i) % 900}" for i in range(11)] for k in range(5)] for key in range(1000)
    }
    reward = CiderReward(references)
    batch = [references[key][0] for key in range(80)]
    times = []
    for _ in range(20):
        start = time.perf_counter()
        reward.reward(range(80), batch)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.010


def test_an_image_without_references_is_an_error():
    with pytest.raises(DataError, match="no references for image b"):
        CiderReward({"a": [["x"]], "b": []})
    with pytest.raises(DataError, match="no references for image z"):
        CiderReward(CORPUS).reward(["z"], [["a"]])
    with pytest.raises(DataError, match="no references"):
        CiderReward({})
