"""Signals stop a training after the batch; a second one stops at once."""

import os
import signal
import time

import pytest

from capsmith.training.signals import stop_signals


def test_a_second_signal_stops_at_once(log_lines):
    lines = log_lines
    with pytest.raises(KeyboardInterrupt), stop_signals() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        deadline = time.monotonic() + 5
        while stop.signal is None and time.monotonic() < deadline:
            pass
        assert stop.signal == signal.SIGTERM
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    assert len(lines) == 1
