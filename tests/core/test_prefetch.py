"""Order, laziness and errors of what is made in advance."""

import threading

import pytest

from capsmith.core.prefetch import prefetch


def test_in_order_and_never_more_than_one_too_early():
    made = []

    def make(index):
        made.append(index)
        return index * index

    for index, value in prefetch(make, range(5)):
        assert value == index * index and set(made) <= set(range(index + 2))
    assert made == [0, 1, 2, 3, 4] and list(prefetch(make, range(0))) == []


def test_the_next_is_made_while_this_one_is_in_use():
    second = threading.Event()

    def make(index):
        if index == 1:
            second.set()
        return index

    for index, _ in prefetch(make, range(3)):
        assert index or second.wait(5)


def test_any_indices():
    assert list(prefetch(str, range(3, 6))) == [(3, "3"), (4, "4"), (5, "5")]


def test_an_error_comes_when_it_is_the_turn():
    seen = []
    with pytest.raises(ZeroDivisionError):
        for index, _ in prefetch(lambda index: 1 // (2 - index), range(5)):
            seen.append(index)
    assert seen == [0, 1]


def test_leaving_early_leaves_no_thread():
    for index, _ in prefetch(lambda index: index, range(1000)):
        if index == 2:
            break
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]
