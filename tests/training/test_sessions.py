"""What a training leaves: how long it took in all, which search its scores are of, nothing of a failed start."""

import json
import re

import pytest

from capsmith.config import load_config
from capsmith.core.errors import CapsmithError, CheckpointError
from capsmith.models import captioner
from capsmith.models.checkpoints import read_progress
from capsmith.training import fit
from capsmith.training import loop as epochs
from capsmith.training.fit import train
from capsmith.training.sessions import Sessions
from tests.support import toy


def config_of(folder, **changes):
    values = toy.settings(folder / "data", folder / "cache")
    for section, change in changes.items():
        values[section] |= change
    return load_config(values)


@pytest.fixture
def folder(tmp_path):
    toy.make_data(tmp_path / "data")
    return tmp_path


# --- how long -----------------------------------------------------------------------------------------------------


def test_the_time_of_all_sessions_and_of_this_one(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("capsmith.training.sessions.time.perf_counter", lambda: now[0])
    first = Sessions(started=0.0)
    now[0] = 720.0
    assert str(first) == "12.0 minutes"
    second = Sessions(started=5000.0)
    second.go_on(json.loads(json.dumps(first.to_json())), [], "state.npz")
    now[0] = 5180.0
    assert str(second) == "15.0 minutes (2 sessions, this one 3.0)"
    third = Sessions(started=5180.0)
    third.go_on(second.to_json(), [], "state.npz")
    assert str(third) == "15.0 minutes (3 sessions, this one 0.0)"


def test_a_state_of_an_earlier_version_has_its_epochs_seconds(monkeypatch):
    monkeypatch.setattr("capsmith.training.sessions.time.perf_counter", lambda: 0.0)
    sessions = Sessions(started=0.0)
    sessions.go_on({}, [{"seconds": 60.0}, {"seconds": 120.0}], "state.npz")
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
def test_a_damaged_time_is_told(damaged):
    with pytest.raises(CheckpointError, match="does not say how long it took"):
        Sessions().go_on({"sessions": damaged}, [], "state.npz")


def test_a_resumed_training_says_the_whole_time(folder, monkeypatch):
    config, run = config_of(folder, training={"epochs": 3, "patience": None}), folder / "run"
    with monkeypatch.context() as patched:
        save, calls = epochs.save_state, []

        def stop(*given):
            save(*given)
            calls.append(0)
            if len(calls) == 2:
                raise KeyboardInterrupt

        patched.setattr(epochs, "save_state", stop)
        with pytest.raises(KeyboardInterrupt):
            train(config, run)
    assert read_progress(run / "state.npz")["sessions"]["number"] == 1
    train(config, run, resume=True)
    said = (run / "log.txt").read_text()
    assert re.search(r"trained in \d+\.\d minutes \(2 sessions, this one \d+\.\d\): ", said)
    assert read_progress(run / "state.npz")["sessions"]["number"] == 2


# --- which search -------------------------------------------------------------------------------------------------


def test_lines_say_by_which_search_they_were_scored(folder):
    run = folder / "run"
    train(config_of(folder), run)
    lines = (run / "log.txt").read_text().splitlines()
    (epoch,) = [line for line in lines if line.startswith("epoch 1/1")]
    (best,) = [line for line in lines if line.startswith("best epoch")]
    tested = [line for line in lines if line.strip().startswith("test ")]
    assert "  dev (greedy) bleu1 " in epoch and ": dev (greedy) cider " in best
    assert len(tested) == 7 and all("test (beam)" in line for line in tested)


# --- a failed start -----------------------------------------------------------------------------------------------

FAILING = {
    "no data": {"data": {"root": "nowhere"}},
    "a column that is not there": {"data": {"caption_column": "text"}},
    "no weights": {"encoder": {"weights": "gone.weights.h5"}},
    "no vectors": {"decoder": {"embedding": {"size": 8, "vectors": "gone.txt"}}},
    "a run to begin with that is not there": {"training": {"resume_weights_from": "gone"}},
}


@pytest.mark.parametrize("changes", FAILING.values(), ids=FAILING)
def test_a_failed_start_leaves_no_run_directory(changes, folder):
    with pytest.raises(CapsmithError):
        train(config_of(folder, **changes), folder / "runs" / "new")
    assert not (folder / "runs").exists()


def test_a_folder_that_was_there_stays_as_it_was(folder):
    run = folder / "run"
    run.mkdir()
    (run / "notes.txt").write_text("mine")
    with pytest.raises(CapsmithError):
        train(config_of(folder, data={"root": "nowhere"}), run)
    assert [path.name for path in run.iterdir()] == ["notes.txt"]


def test_a_start_that_fails_while_it_writes_leaves_none(folder, monkeypatch):
    """The disk is full before all parts of the captioner are there, those of several encoders too."""
    one = toy.settings(folder / "data", folder / "cache")["encoder"]
    values = toy.settings(folder / "data", folder / "cache") | {"encoder": [one, {**one, "image_size": 40}]}
    monkeypatch.setattr(captioner, "write_json", lambda *_: (_ for _ in ()).throw(CapsmithError("full")))
    with pytest.raises(CapsmithError, match="full"):
        train(load_config(values), folder / "run")
    assert not (folder / "run").exists()


def test_an_error_that_is_nobodys_mistake_leaves_none_either(folder, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(fit, "make_vocabulary", fail)
    with pytest.raises(ZeroDivisionError):
        train(config_of(folder), folder / "run")
    assert not (folder / "run").exists()


def test_a_training_that_had_begun_stays(folder, monkeypatch):
    monkeypatch.setattr(epochs.Epochs, "_epoch", lambda *_: (_ for _ in ()).throw(CapsmithError("full")))
    with pytest.raises(CapsmithError):
        train(config_of(folder), folder / "run")
    assert (folder / "run" / "captioner.json").exists()


def test_a_failed_resume_removes_nothing(folder):
    config, run = config_of(folder), folder / "run"
    train(config, run)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    (folder / "data" / "captions.csv").unlink()
    with pytest.raises(CapsmithError):
        train(config, run, resume=True)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_what_a_first_stage_logged_is_kept(folder):
    """The second stage fails at its start, after the first one has trained."""
    start = folder / "first"
    first = toy.write_config(folder / "first.yaml", toy.settings(folder / "data", folder / "cache"))
    training = {"resume_weights_from": str(start), "stage_one": {"config": str(first)}, "objective": "scst"}
    config = config_of(folder, training=training, decoder={"units": 17})
    with pytest.raises(CapsmithError, match="of another model"):
        train(config, folder / "run")
    assert (start / "state.npz").exists() and "epoch 1/1" in (folder / "run" / "log.txt").read_text()
