"""Threads that work on a stream of items one after the other, connected by short queues."""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

QUEUED = 2
"""Items that wait between two stages."""
_POLL = 0.1  # seconds after which a waiting stage looks whether it was stopped


class _Failed(NamedTuple):
    error: BaseException


_END = object()


def stage(
    name: str, make: Callable[[], Iterator[Any]], target: "queue.Queue[Any]", stop: threading.Event
) -> threading.Thread:
    """Starts a thread that puts the items of an iterator into a queue, then an end or the error."""

    def run() -> None:
        last: Any = _END
        items: Iterator[Any] | None = None
        try:
            items = make()
            for item in items:
                if not _put(target, item, stop):
                    return
        except BaseException as error:  # raised again in the thread that takes it from the queue
            last = _Failed(error)
        finally:
            items = None
            _put(target, last, stop)

    thread = threading.Thread(target=run, name=f"capsmith-{name}", daemon=True)
    thread.start()
    return thread


def items_of(source: "queue.Queue[Any]", stop: threading.Event) -> Iterator[Any]:
    """Yields what a stage puts into a queue, and raises its error."""
    while not stop.is_set():
        try:
            item = source.get(timeout=_POLL)
        except queue.Empty:
            continue
        if item is _END:
            return
        if isinstance(item, _Failed):
            raise item.error
        yield item


def _put(target: "queue.Queue[Any]", item: Any, stop: threading.Event) -> bool:
    while not stop.is_set():
        with suppress(queue.Full):
            target.put(item, timeout=_POLL)
            return True
    return False
