"""Making the next thing while the one before is used."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(make: Callable[[int], T], count: int) -> Iterator[tuple[int, T]]:
    """Yields ``(index, make(index))`` for ``count`` indices; a thread makes each while the one before is in use.

    What ``make`` raises is raised here, when its turn comes.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool:
        coming = [pool.submit(make, 0)] if count else []
        for index in range(count):
            ready = coming.pop().result()
            if index + 1 < count:
                coming.append(pool.submit(make, index + 1))
            yield index, ready
