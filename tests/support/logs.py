"""What capsmith logs, seen by tests."""

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
    """Calls a function with every line that is logged within; what it raises is raised where the line was logged."""
    handler = _Calling(call)
    ROOT.addHandler(handler)
    try:
        yield call
    finally:
        ROOT.removeHandler(handler)


@contextlib.contextmanager
def recorded():
    """Gives a list that gets every line that is logged within."""
    lines = []
    with on_log(lines.append):
        yield lines
