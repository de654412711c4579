"""A training that fails before its first batch leaves no run directory."""

import pytest

from capsmith.config import load_config
from capsmith.core.errors import CapsmithError
from capsmith.models import keras_member
from capsmith.training import captioning, loop
from capsmith.training.fit import train
from tests.support import toy
from tests.support.toy import config_of

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


def test_an_existing_folder_is_left_as_it_was(folder):
    run = folder / "run"
    run.mkdir()
    (run / "notes.txt").write_text("mine")
    with pytest.raises(CapsmithError):
        train(config_of(folder, data={"root": "nowhere"}), run)
    assert [path.name for path in run.iterdir()] == ["notes.txt"]


def test_a_full_disk_at_the_start_leaves_none(folder, monkeypatch):
    """The disk is full before all files are written, with several encoders too."""
    one = toy.settings(folder / "data", folder / "cache")["encoder"]
    values = toy.settings(folder / "data", folder / "cache") | {"encoder": [one, {**one, "image_size": 40}]}
    monkeypatch.setattr(keras_member, "write_json", lambda *_: (_ for _ in ()).throw(CapsmithError("full")))
    with pytest.raises(CapsmithError, match="full"):
        train(load_config(values), folder / "run")
    assert not (folder / "run").exists()


def test_an_unexpected_error_leaves_none(folder, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(captioning, "make_vocabulary", fail)
    with pytest.raises(ZeroDivisionError):
        train(config_of(folder), folder / "run")
    assert not (folder / "run").exists()


def test_a_training_that_has_begun_is_kept(folder, monkeypatch):
    monkeypatch.setattr(loop.TrainingLoop, "_epoch", lambda *_: (_ for _ in ()).throw(CapsmithError("full")))
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


def test_the_log_of_stage_one_is_kept(folder):
    """Stage two fails at its start, after stage one has trained."""
    start = folder / "first"
    first = toy.write_config(folder / "first.yaml", toy.settings(folder / "data", folder / "cache"))
    training = {"resume_weights_from": str(start), "stage_one": {"config": str(first)}, "objective": "scst"}
    config = config_of(folder, training=training, decoder={"units": 17})
    with pytest.raises(CapsmithError, match="of another model"):
        train(config, folder / "run")
    assert (start / "state.npz").exists() and "epoch 1/1" in (folder / "run" / "log.txt").read_text()
