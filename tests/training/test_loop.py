"""The training loop: what it reports, saves and restores."""

import keras
import numpy as np
import pytest

from capsmith import evaluate
from capsmith.config import load_config
from capsmith.core.errors import CapsmithError
from capsmith.data.batches import Batches
from capsmith.training import objective
from capsmith.training.fit import train
from capsmith.training.history import read_csv
from tests.support.logs import on_log
from tests.support.short import settings
from tests.support.toy import config_of


def interrupt(line):
    """Ctrl-C after the first epoch."""
    if line.startswith("epoch 1/"):
        raise KeyboardInterrupt


def test_ctrl_c_reports_what_is_saved(tmp_path, log_lines):
    with pytest.raises(KeyboardInterrupt), on_log(interrupt):
        train(load_config(settings(training={"epochs": 2})), tmp_path / "run")
    assert log_lines[-1] == f"interrupted after epoch 1; everything is saved in {tmp_path / 'run'}"


def test_other_metrics_after_resuming(tmp_path):
    """Rows of one history may have different metrics."""
    sections = {"training": {"epochs": 2}, "evaluation": {"metrics": ["bleu1"]}}
    run = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt), on_log(interrupt):
        train(load_config(settings(**sections)), run)
    config = load_config(settings(**{**sections, "evaluation": {"metrics": ["bleu1", "rouge"]}}))
    train(config, run, resume=True)
    one, two = read_csv(run / "history.csv")
    assert set(two) - set(one) == {"dev_rouge"}
    assert (one["epoch"], two["epoch"]) == (1, 2)


@pytest.mark.parametrize("within", [1, 2])
def test_a_sudden_stop_reports_what_is_lost(tmp_path, monkeypatch, within, log_lines):
    """As by a second Ctrl-C, which does not wait for the batch."""
    asked, lines = Batches.load, log_lines

    def prepared(self, index):
        if (self.epoch, index) == (within - 1, 1):
            raise KeyboardInterrupt
        return asked(self, index)

    monkeypatch.setattr(Batches, "load", prepared)
    with pytest.raises(KeyboardInterrupt):
        train(load_config(settings(training={"epochs": 3})), tmp_path / "run")
    held = f"the state in {tmp_path / 'run'} is from after epoch 1"
    assert (
        lines[-1]
        == f"interrupted after epoch {within - 1} and 1 batches; " + [..., "nothing is saved yet", held][within]
    )


def test_out_of_memory_names_the_batch_size(tmp_path, monkeypatch):
    def learn(inputs, targets):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes")

    monkeypatch.setattr(objective, "training_step", lambda model, devices: learn)
    with pytest.raises(CapsmithError, match="training.batch_size .*16.* 8"):
        train(load_config(settings(training={"batch_size": 16})), tmp_path / "run")


def test_patience_ends_the_training(tmp_path):
    """With a learning rate near zero, no epoch is better than the first."""
    train(load_config(settings(training={"epochs": 9, "patience": 2})), tmp_path / "run")
    assert len(read_csv(tmp_path / "run" / "history.csv")) == 3


def test_the_moving_average_is_scored_and_saved(tmp_path):
    """The saved weights are not the last ones, and have the dev score of the history."""
    training = {"epochs": 3, "learning_rate": 0.01, "ema": 0.9, "metric": "bleu1"}
    made = train(load_config(settings(training=training)), tmp_path / "run")
    rows = read_csv(tmp_path / "run" / "history.csv")
    with np.load(tmp_path / "run" / "state.npz") as state:
        last = [state[name] for name in state.files if name != "progress"]
    kept = [keras.ops.convert_to_numpy(v) for v in made.model.trainable_variables]
    assert all(min(np.abs(k - v).max() if k.shape == v.shape else 9 for v in last[: len(kept)]) > 1e-5 for k in kept)
    changes = ["decoding.type=greedy", "evaluation.metrics=[bleu1]"]
    found = evaluate(tmp_path / "run", "dev", changes).scores["bleu1"].value
    assert found == pytest.approx(max(row["dev_bleu1"] for row in rows), abs=1e-6)


def test_log_lines_name_the_search(folder):
    run = folder / "run"
    train(config_of(folder), run)
    lines = (run / "log.txt").read_text().splitlines()
    (epoch,) = [line for line in lines if line.startswith("epoch 1/1")]
    (best,) = [line for line in lines if line.startswith("best epoch")]
    tested = [line for line in lines if line.strip().startswith("test ")]
    assert "  dev (greedy) bleu1 " in epoch and ": dev (greedy) cider " in best
    assert len(tested) == 7 and all("test (beam)" in line for line in tested)
