"""Making the next thing while the one before is used."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(make: Callable[[int], T], indices: Sequence[int]) -> Iterator[tuple[int, T]]:
    """Yields ``(index, make(index))`` for the indices in turn; a thread makes each while the one before is in use.

    What ``make`` raises is raised here, when its turn comes.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool:
        coming = [pool.submit(make, index) for index in indices[:1]]
        for place, index in enumerate(indices):
            ready = coming.pop().result()
            coming = [pool.submit(make, following) for following in indices[place + 1 : place + 2]]
            yield index, ready
