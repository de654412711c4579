"""Splits are by image, disjoint, and independent of row order."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from capsmith.core.errors import DataError
from capsmith.data.flickr8k import Flickr8kConfig
from capsmith.data.records import SplitConfig
from capsmith.data.splits import SplitLists, read_lists, seeded_split, split_name

IDS = [f"{number}.jpg" for number in range(1000)]


def test_fractions():
    split = seeded_split(IDS, SplitConfig(dev=0.1, test=0.25))
    assert Counter(split.values()) == {"train": 650, "dev": 100, "test": 250}
    assert set(split) == set(IDS)


def test_order_and_repetition_do_not_matter():
    shuffled = IDS + IDS[:400] * 3
    random.Random(0).shuffle(shuffled)
    assert seeded_split(shuffled, SplitConfig()) == seeded_split(IDS, SplitConfig())


def test_another_seed_gives_another_split_of_the_same_sizes():
    first, second = seeded_split(IDS, SplitConfig()), seeded_split(IDS, SplitConfig(seed=1))
    assert Counter(first.values()) == Counter(second.values())
    both = sum(first[name] == second[name] == "test" for name in IDS)
    assert 1 <= both <= 25  # ten are expected of two independent tenths


def test_additional_images_move_few_others():
    """A ranking by hash moves few images; a reshuffle would move most."""
    before = seeded_split(IDS[:990], SplitConfig())
    after = seeded_split(IDS, SplitConfig())
    assert sum(before[name] != after[name] for name in IDS[:990]) <= 10


@given(st.integers(0, 60), st.floats(0, 0.99), st.floats(0, 0.99))
def test_any_fractions_leave_training_images(count, dev, test):
    if dev + test >= 1:
        return
    numbers = Counter(seeded_split(IDS[:count], SplitConfig(dev=dev, test=test)).values())
    assert numbers.total() == count
    assert count == 0 or numbers["train"] >= 1
    if dev == 0:
        assert numbers["dev"] == 0
    if count >= 3 and test > 0:
        assert numbers["test"] >= 1


def test_fractions_that_leave_no_training_images():
    with pytest.raises(ValidationError, match="dev.*test"):
        SplitConfig(dev=0.5, test=0.5)


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("train", "train"),
        (" Val ", "dev"),
        ("valid", "dev"),
        ("validation", "dev"),
        ("TEST", "test"),
        ("", ""),
    ],
)
def test_spellings(word, name):
    assert split_name(word) == name


def test_an_unknown_spelling():
    assert split_name("holdout") is None


def _lists(tmp_path, **texts):
    for name, text in {"train": "a.jpg\n", "dev": "b.jpg\n", "test": "c.jpg\n", **texts}.items():
        (tmp_path / name).write_bytes(text.encode("utf-8-sig"))
    return Flickr8kConfig(root=tmp_path, lists=SplitLists(train="train", dev="dev", test="test"))


def test_lists(tmp_path):
    config = _lists(tmp_path, train="a.jpg\r\n\r\nd.jpg \r\n")
    assert read_lists(config, config.lists) == {
        "a.jpg": "train",
        "d.jpg": "train",
        "b.jpg": "dev",
        "c.jpg": "test",
    }


def test_an_image_in_two_lists_is_an_error(tmp_path):
    config = _lists(tmp_path, test="c.jpg\na.jpg\n")
    with pytest.raises(DataError, match=r"test, line 2: a\.jpg .* train"):
        read_lists(config, config.lists)


def test_a_missing_list(tmp_path):
    config = _lists(tmp_path)
    (tmp_path / "dev").unlink()
    with pytest.raises(DataError, match=r"data.lists.dev: .*has no file dev"):
        read_lists(config, config.lists)


def test_groups_stay_in_one_split():
    """For any seed, fractions hold, and the order of names in a group does not matter."""
    pairs = tuple((IDS[n], IDS[999 - n]) for n in range(200))
    for seed in range(5):
        split = seeded_split(IDS, SplitConfig(seed=seed, groups=pairs))
        assert all(split[one] == split[other] for one, other in pairs)
        counts = Counter(split.values())
        assert abs(counts["dev"] - 100) <= 1 and abs(counts["test"] - 100) <= 1
    assert any(len({seeded_split(IDS, SplitConfig())[name] for name in pair}) > 1 for pair in pairs)


def test_a_group_too_large_for_dev_and_test_is_trained_on():
    split = seeded_split(IDS[:100], SplitConfig(groups=(tuple(IDS[:60]), ("gone.jpg", "away.jpg"))))
    assert {split[name] for name in IDS[:60]} == {"train"}
    assert Counter(split.values()) == {"train": 80, "dev": 10, "test": 10}


def test_few_images_in_pairs():
    split = seeded_split(IDS[:10], SplitConfig(groups=tuple((IDS[n], IDS[n + 5]) for n in range(5))))
    assert Counter(split.values()) == {"train": 6, "dev": 2, "test": 2}


def test_an_image_in_two_groups_is_an_error():
    with pytest.raises(ValidationError, match="b.jpg is listed twice: merge its groups"):
        SplitConfig(groups=(("a.jpg", "b.jpg"), ("b.jpg", "c.jpg")))
