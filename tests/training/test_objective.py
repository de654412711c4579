"""Scheduled sampling, which any objective may use."""

import keras
import pytest

from capsmith import Captioner
from capsmith.config import load_config
from capsmith.training.fit import train
from capsmith.training.history import read_csv
from tests.support.short import settings


def test_scheduled_sampling_in_bfloat16(tmp_path):
    losses = []
    for precision in ("float32", "bfloat16"):
        training = {"epochs": 2, "learning_rate": 0.01, "scheduled_sampling": 0.9, "precision": precision}
        train(load_config(settings(training=training)), tmp_path / precision)
        losses.append([row["loss"] for row in read_csv(tmp_path / precision / "history.csv")])
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def test_scheduled_sampling_changes_inputs_but_not_checkpoints(tmp_path):
    training = {"epochs": 2, "learning_rate": 0.01, "scheduled_sampling": 0.9}
    made = train(load_config(settings(training=training)), tmp_path / "run")
    assert float(keras.ops.convert_to_numpy(made.model.mixing)) == pytest.approx(0.9)
    plain = train(load_config(settings(training={**training, "scheduled_sampling": 0})), tmp_path / "plain")
    losses = [read_csv(tmp_path / name / "history.csv") for name in ("run", "plain")]
    assert losses[0][0]["loss"] == pytest.approx(losses[1][0]["loss"], rel=0.05)  # the rate starts at zero
    assert losses[0][1]["loss"] > 1.003 * losses[1][1]["loss"]
    assert Captioner.load(tmp_path / "run").model.mixing is None
    assert [v.path for v in plain.model.decoder.weights] == [v.path for v in made.model.decoder.weights]
