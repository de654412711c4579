import pytest
from hypothesis import given, settings

from capsmith.metrics import score
from capsmith.metrics.rouge import BETA, common_length, position_masks, rouge_l
from tests.support.captions import ADVERSARIAL, SENTENCES, corpora
from tests.support.coco import scores as coco_scores


def slow_common_length(first, second):
    table = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            table[i + 1][j + 1] = table[i][j] + 1 if a == b else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


@given(SENTENCES, SENTENCES)
def test_the_bitwise_length_equals_that_of_the_table(first, second):
    assert common_length(position_masks(first), len(first), second) == slow_common_length(first, second)


def test_by_hand_precision_and_recall_from_different_references():
    # LCS with the first: "a dog" 2, with the second "a dog runs" 3 of 6 words.
    found = rouge_l(["a", "dog", "quickly", "runs"], [["a", "dog"], ["a", "big", "dog", "runs", "far", "away"]])
    precision, recall = 3 / 4, 2 / 2
    assert found == pytest.approx((1 + BETA**2) * precision * recall / (recall + BETA**2 * precision), abs=1e-15)


def test_nothing_in_common_is_zero_and_equal_is_one():
    assert rouge_l(["a"], [["b"], ["c", "d"]]) == 0
    assert rouge_l(["a", "b"], [["a", "b"]]) == 1


@settings(deadline=None, max_examples=60)
@given(corpora(references=SENTENCES))
def test_equal_to_coco_caption_on_random_captions(corpus):
    check(corpus)


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_equal_to_coco_caption_on_adversarial_captions(name):
    check(ADVERSARIAL[name])


def check(corpus):
    ours, (value, each) = score(*corpus, ["rouge"], "none")["rouge"], coco_scores(*corpus, names=["rouge"])["rouge"]
    assert ours.value == pytest.approx(value, abs=1e-9)
    assert list(ours.per_image.values()) == pytest.approx(each.tolist(), abs=1e-9)
