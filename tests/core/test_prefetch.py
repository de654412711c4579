"""Order, laziness and errors of prefetching."""

import threading

import pytest

from capsmith.core.prefetch import prefetch


def test_items_come_in_order_with_at_most_one_prefetched():
    made = []

    def make(index):
        made.append(index)
        return index * index

    for index, value in prefetch(make, range(5)):
        assert value == index * index and set(made) <= set(range(index + 2))
    assert made == [0, 1, 2, 3, 4] and list(prefetch(make, range(0))) == []


def test_the_next_item_is_created_while_the_current_one_is_in_use():
    second = threading.Event()

    def make(index):
        if index == 1:
            second.set()
        return index

    for index, _ in prefetch(make, range(3)):
        assert index or second.wait(5)


def test_any_iterable_of_indices_is_accepted():
    assert list(prefetch(str, range(3, 6))) == [(3, "3"), (4, "4"), (5, "5")]


def test_an_error_is_raised_at_its_items_turn():
    seen = []
    with pytest.raises(ZeroDivisionError):
        for index, _ in prefetch(lambda index: 1 // (2 - index), range(5)):
            seen.append(index)
    assert seen == [0, 1]


def test_an_early_exit_leaves_no_thread():
    for index, _ in prefetch(lambda index: index, range(1000)):
        if index == 2:
            break
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]
