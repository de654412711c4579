"""Progress bars that are quiet when nobody watches."""

import sys
from collections.abc import Iterable, Iterator, Sized
from typing import Any, TypeVar

from tqdm import tqdm

T = TypeVar("T")


def bar(**kwargs: Any) -> "tqdm[Any]":
    """Returns a tqdm bar on standard error, disabled off a terminal and shown only after a second.

    Args:
        **kwargs: As for ``tqdm``: ``total``, ``desc``, ``unit``, ``initial``, …
    """
    return tqdm(file=sys.stderr, disable=not sys.stderr.isatty(), delay=1.0, dynamic_ncols=True, leave=False, **kwargs)


def track(items: Iterable[T], **kwargs: Any) -> Iterator[T]:
    """Yields the items and moves a bar along."""
    with bar(total=len(items) if isinstance(items, Sized) else None, **kwargs) as shown:
        for item in items:
            yield item
            shown.update()
