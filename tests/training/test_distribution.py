"""Training on two CPU devices equals training on one at the same global batch."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

import capsmith.core.devices as devices
from capsmith.config import load_config
from capsmith.core.errors import ConfigError
from capsmith.training.fit import train
from tests.support import shapes

BACKEND = keras.backend.backend()


@pytest.mark.jax
@pytest.mark.skipif(BACKEND == "torch", reason="PyTorch does not distribute")
def test_two_devices_train_as_one_does(tmp_path):
    dropout = "0.2" if BACKEND == "jax" else "0"  # TensorFlow draws other masks on each device
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.two_devices", str(tmp_path), dropout],
        env={**os.environ, "KERAS_BACKEND": BACKEND},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stderr.count("devices: 2 (cpu:0, cpu:1)") == 5
    found = json.loads(done.stdout.splitlines()[-1])
    assert set(found) == {"pooled", "grid", "scst", "rehearsal", "interrupted"}
    assert found["pooled"][0][0] - found["pooled"][0][1] > 0.01  # it learns
    for one, two in found.values():
        np.testing.assert_allclose(two, one, atol=2e-6)


def test_other_backends_refuse(monkeypatch, tmp_path):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(ConfigError, match="training.distribute"):
        devices.training_devices("auto")
    assert devices.training_devices("none") == []


@pytest.mark.skipif(BACKEND != "tensorflow", reason="what TensorFlow cannot distribute")
def test_what_is_no_sum_over_parts_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr("capsmith.training.fit.training_devices", lambda distribute: ["cpu:0", "cpu:1"])
    values = shapes.settings(encoder={"trainable": True}, training={"distribute": "auto"})
    with pytest.raises(ConfigError, match="training.distribute"):
        train(load_config(values), tmp_path / "run")
    assert not (tmp_path / "run").exists()
