"""Prefetching: the next item is prepared while the current one is in use."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def prefetch(make: Callable[[int], T], indices: Sequence[int]) -> Iterator[tuple[int, T]]:
    """Yields ``(index, make(index))`` for each index in order; a thread prepares one item ahead.

    An exception from ``make`` is raised when its item is requested.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="prefetch") as pool:
        pending = [pool.submit(make, index) for index in indices[:1]]
        for position, index in enumerate(indices):
            item = pending.pop().result()
            pending = [pool.submit(make, following) for following in indices[position + 1 : position + 2]]
            yield index, item
