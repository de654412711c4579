"""What the load tests of the service count as wrong, and how they compute their figures."""

import copy

import pytest

from benchmarks.serving.offline import difference
from benchmarks.serving.soak import growth
from benchmarks.serving.throughput import percentile
from benchmarks.serving.wire import Answer, differs

RESULT = {
    "caption": "a dog",
    "log_probability": -2.0,
    "words": [{"word": "a", "probability": 0.9, "attention": [[0.25, 0.75]]}, {"word": "dog", "probability": 0.5}],
    "alternatives": [{"caption": "a cat"}],
}
EXPECTED = {
    **RESULT,
    "words": [dict(RESULT["words"][0]), {"word": "dog", "probability": 0.5, "attention": None}],
    "alternatives": ["a cat"],
}
CHANGES = {
    "another caption": (("caption",), "a cat"),
    "another log probability": (("log_probability",), -2.1),
    "another probability": (("words", 0, "probability"), 0.8),
    "another map": (("words", 0, "attention"), [[0.75, 0.25]]),
    "a map of another size": (("words", 0, "attention"), [[1.0]]),
    "a missing map": (("words", 0, "attention"), None),
    "another alternative": (("alternatives", 0, "caption"), "a bird"),
}


def test_equal_results_do_not_differ():
    assert difference(RESULT, EXPECTED, True) == ""


@pytest.mark.parametrize("name", CHANGES)
def test_each_difference_is_seen(name):
    (*path, last), value = CHANGES[name]
    changed = copy.deepcopy(RESULT)
    inner = changed
    for key in path:
        inner = inner[key]
    inner[last] = value
    assert difference(changed, EXPECTED, True)


def test_maps_that_nobody_requested_are_seen():
    assert difference(RESULT, EXPECTED, False)


def test_answers_of_all_servers_are_compared():
    expected = Answer("a dog", -2.0, (0.9, 0.5))
    assert not differs(Answer("a dog", -2.0001, (0.9001, 0.5)), expected)
    for other in (
        None,
        Answer("a cat", -2.0, (0.9, 0.5)),
        Answer("a dog", -2.0, (0.9,)),
        Answer("a dog", -1.9, (0.9, 0.5)),
    ):
        assert differs(other, expected)


def test_growth_is_that_after_the_warm_up():
    memory = [(minute / 10, 100 if minute < 20 else 200) for minute in range(100)]
    assert growth(memory, 2.0) == 0
    assert growth(memory, 0.0) == pytest.approx(1.0)
    assert growth([(0.1, 100)], 1.0) == 0


def test_percentiles():
    assert [percentile([3.0, 1.0, 2.0, 4.0], share) for share in (0, 0.5, 0.99)] == [1.0, 3.0, 4.0]
