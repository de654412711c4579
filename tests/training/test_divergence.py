"""A loss that is NaN stops the training with advice that works."""

import re

import pytest

from capsmith.config import load_config
from capsmith.core.errors import CapsmithError
from capsmith.training import objective
from capsmith.training.fit import train
from tests.support.short import settings


def test_a_nan_loss_stops(tmp_path):
    wild = settings(training={"learning_rate": 1e38, "clip_norm": None, "epochs": 5})
    calmer = "--set training.learning_rate=2e.37 --set training.clip_norm=5"
    with pytest.raises(
        CapsmithError, match=f"the loss is (nan|inf) in epoch .: train into another --run with {calmer}"
    ):
        train(load_config(wild), tmp_path / "run")


def test_the_advice_after_a_good_epoch_works(tmp_path, monkeypatch):
    """The advice is followed literally, and works."""
    changes = settings(training={"epochs": 2, "learning_rate": 1e-3})
    monkeypatch.setattr(objective, "training_step", lambda model, devices: failing_later)
    with pytest.raises(CapsmithError) as stopped:
        train(load_config(changes), tmp_path / "run")
    monkeypatch.undo()
    assert "stage_one" not in str(stopped.value)
    advice = re.findall(r"--set (training\.\w+=[^ )]+)", str(stopped.value))
    assert [change.partition("=")[0] for change in advice] == ["training.learning_rate", "training.resume_weights_from"]
    again = train(load_config(changes, advice), tmp_path / "another")
    assert again.config.training.learning_rate == 2e-4


def failing_later(inputs, targets, taken=[0]):  # noqa: B006
    """A training step without effect, whose loss is NaN from the second epoch on."""
    taken[0] += 1
    return 1.0 if taken[0] <= 9 else float("nan")
