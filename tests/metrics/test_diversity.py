import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capsmith.core.errors import DataError
from capsmith.metrics import score
from capsmith.metrics.diversity import diversity, mutual_bleu, repeats
from tests.support.captions import FULL


def split(*captions):
    return [caption.split() for caption in captions]


def test_diversity_by_hand():
    captions = split("a dog runs", "a dog runs", "two people sit", "a dog a dog plays")
    found = diversity(captions, training=split("a dog runs", "a cat"))
    assert (found.captions, found.vocabulary) == (4, 7)
    assert found.mean_length == pytest.approx(14 / 4)
    assert found.distinct == 3 / 4
    assert found.novel == 2 / 4
    assert found.repeats == 1 / 4
    assert found.as_dict()["vocabulary"] == 7


def test_novelty_is_unknown_without_training_captions():
    assert diversity(split("a dog")).novel is None
    assert diversity(split("a dog")).mbleu4 is None
    with pytest.raises(DataError, match="no captions"):
        diversity([])


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("a dog runs", False),
        ("a dog dog runs", True),
        ("on a bench on a bench", True),
        ("on a bench on the bench", False),
        ("the man and the man", False),  # twice, but not in a row
        ("a b a b", True),
        ("x a b c d a b c d y", True),
        ("a a", True),
        ("a", False),
        ("", False),
    ],
)
def test_repeats(caption, expected):
    assert repeats(caption.split()) is expected


@settings(deadline=None, max_examples=60)
@given(st.lists(FULL, min_size=2, max_size=7))
def test_mutual_bleu_is_bleu_against_all_others(captions):
    keys = range(len(captions))
    others = {k: [c for i, c in enumerate(captions) if i != k] for k in keys}
    slow = score(dict(enumerate(captions)), others, ["bleu4"], "none")
    assert mutual_bleu([captions]) == pytest.approx(slow["bleu4"].value, abs=1e-12)


def test_mutual_bleu_compares_only_within_a_group():
    same = split("a dog runs far", "a dog runs far")
    assert mutual_bleu([same, split("two people sit down", "two people sit down")]) == pytest.approx(1)
    assert mutual_bleu([split("a b c d", "e f g h"), split("a b c d", "e f g h")]) == 0
