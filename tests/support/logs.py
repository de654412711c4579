"""Access to capsmith's log lines in tests."""

import contextlib
import logging

from capsmith.core.log import ROOT


class _Calling(logging.Handler):
    def __init__(self, call):
        super().__init__()
        self.call = call

    def emit(self, record):
        self.call(record.getMessage())


@contextlib.contextmanager
def on_log(call):
    """Calls a function with every line logged in the context; its exceptions propagate to the logging statement."""
    handler = _Calling(call)
    ROOT.addHandler(handler)
    try:
        yield call
    finally:
        ROOT.removeHandler(handler)


@contextlib.contextmanager
def recorded():
    """Yields a list that collects every line logged in the context."""
    lines = []
    with on_log(lines.append):
        yield lines
