"""The training time over all sessions."""

import json
import re

import pytest

from capsmith.core.errors import CheckpointError
from capsmith.models.checkpoints import read_progress
from capsmith.training import loop
from capsmith.training.fit import train
from capsmith.training.sessions import Sessions
from tests.support.toy import config_of


def test_total_time_and_time_of_this_session(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("capsmith.training.sessions.time.perf_counter", lambda: now[0])
    first = Sessions(started=0.0)
    now[0] = 720.0
    assert str(first) == "12.0 minutes"
    second = Sessions(started=5000.0)
    second.resume(json.loads(json.dumps(first.to_json())), [], "state.npz")
    now[0] = 5180.0
    assert str(second) == "15.0 minutes (2 sessions, this one 3.0)"
    third = Sessions(started=5180.0)
    third.resume(second.to_json(), [], "state.npz")
    assert str(third) == "15.0 minutes (3 sessions, this one 0.0)"


def test_a_state_of_an_earlier_version_sums_its_epochs(monkeypatch):
    monkeypatch.setattr("capsmith.training.sessions.time.perf_counter", lambda: 0.0)
    sessions = Sessions(started=0.0)
    sessions.resume({}, [{"seconds": 60.0}, {"seconds": 120.0}], "state.npz")
    assert str(sessions) == "3.0 minutes (2 sessions, this one 0.0)"


@pytest.mark.parametrize(
    "damaged",
    [
        3,
        None,
        {},
        {"number": 1},
        {"number": "x", "seconds": 1},
        {"number": 1, "seconds": -1},
        {"number": 0, "seconds": 1},
    ]
    + [{"number": 1, "seconds": float("inf")}, {"number": 1, "seconds": 10**400}, {"number": 10**30, "seconds": 1}],
)
def test_damaged_sessions_are_refused(damaged):
    with pytest.raises(CheckpointError, match="state.npz.*sessions"):
        Sessions().resume({"sessions": damaged}, [], "state.npz")


def test_a_resumed_training_reports_the_total_time(folder, monkeypatch):
    config, run = config_of(folder, training={"epochs": 3, "patience": None}), folder / "run"
    with monkeypatch.context() as patched:
        save, calls = loop.save_state, []

        def stop(*given):
            save(*given)
            calls.append(0)
            if len(calls) == 2:
                raise KeyboardInterrupt

        patched.setattr(loop, "save_state", stop)
        with pytest.raises(KeyboardInterrupt):
            train(config, run)
    assert read_progress(run / "state.npz")["sessions"]["number"] == 1
    train(config, run, resume=True)
    said = (run / "log.txt").read_text()
    assert re.search(r"trained in \d+\.\d minutes \(2 sessions, this one \d+\.\d\): ", said)
    assert read_progress(run / "state.npz")["sessions"]["number"] == 2
