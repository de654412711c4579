"""Progress of long work: a bar on a terminal, log lines everywhere else."""

import io
import sys

import pytest

from capsmith.config import load_config
from capsmith.core import progress
from capsmith.core.progress import format_duration, progress_bar, track
from capsmith.training.fit import train
from tests.support import toy


@pytest.fixture
def clock(monkeypatch):
    """Returns a clock that stands still until its first element is changed."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_progress_and_remaining_time_are_logged_once_a_minute(clock, log_lines):
    lines = log_lines
    with progress_bar(total=1200, desc="features", unit="image") as shown:
        for second in range(1, 301):
            clock[0] = 1000 + second
            shown.update(2)
    assert lines[0] == "features: 120 of 1,200 images, about 9 min left"
    assert len(lines) == 5 and lines[-1] == "features: 600 of 1,200 images, about 5 min left"


def test_work_of_less_than_a_minute_is_not_logged(clock, log_lines):
    lines = log_lines
    for _ in track(range(59), desc="captions", unit="batch"):
        clock[0] += 1
    assert not lines


def test_resumed_work_is_timed_by_its_own_progress(clock, log_lines):
    lines = log_lines
    with progress_bar(total=100, initial=90, desc="epoch 1/2", unit="batch") as shown:
        shown.set_postfix(loss="2.500", refresh=False)
        clock[0] += 60
        shown.update(5)
    assert lines == ["epoch 1/2: 95 of 100 batches, about 1 min left, loss 2.500"]


def test_an_unknown_length(clock, log_lines):
    lines = log_lines
    for _ in track(iter(range(3)), desc="x", unit="row"):
        clock[0] += 61
    assert lines == ["x: 1 rows", "x: 2 rows", "x: 3 rows"]


def test_a_terminal_shows_a_bar_and_nothing_is_logged(clock, monkeypatch, log_lines):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    lines = log_lines
    for _ in track(range(3), desc="x"):
        clock[0] += 61
    assert not lines


def test_without_tqdm_a_terminal_shows_no_bar(clock, monkeypatch, log_lines):
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setitem(sys.modules, "tqdm", None)
    for _ in track(range(3), desc="x", unit="row"):
        clock[0] += 1
    assert terminal.getvalue() == "" and not log_lines


def test_progress_without_standard_error(clock, monkeypatch, log_lines):
    monkeypatch.setattr(sys, "stderr", None)
    lines = log_lines
    for _ in track(range(3), desc="x", unit="row"):
        clock[0] += 61
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("seconds", "message"), [(3, "3 s"), (40, "1 min"), (720, "12 min"), (3600, "1 h 0 min"), (7500, "2 h 5 min")]
)
def test_durations_are_formatted(seconds, message):
    assert format_duration(seconds) == message


def test_a_training_under_nohup_logs_its_progress(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(progress, "LOG_INTERVAL", 0.0)
    values = toy.settings(toy.make_data(tmp_path / "data"), tmp_path / "cache")
    values["training"] |= {"batch_size": 3, "epochs": 2, "patience": None}
    train(load_config(values), tmp_path / "run")
    message = (tmp_path / "run" / "log.txt").read_text()
    assert capsys.readouterr().err == message
    for line in (
        "features: 12 of 12 images, about 0 s left",
        "epoch 2/2: 1 of 4 batches, about ",
        "captions: 1 of 1 ",
    ):
        assert line in message
