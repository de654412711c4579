"""Self-critical training: the gradient's direction, a reward that rises, and resuming."""

import keras
import numpy as np
import pytest

from capsmith import Captioner
from capsmith.config import load_config
from capsmith.core.errors import CheckpointError, ConfigError
from capsmith.data.text.vocabulary import END, START
from capsmith.training.fit import train
from capsmith.training.history import read_csv
from capsmith.training.sampled_batches import SampledBatches
from tests.support import shapes
from tests.support.prepared import prepare_splits
from tests.support.scst import settings, stage_one


def test_a_positive_advantage_raises_the_probability():
    """One step with a positive and a negative advantage moves the probabilities apart."""
    captioner = Captioner.load(stage_one())
    config = load_config(settings(stage_one()))
    features = prepare_splits(config, "train").source.gather(np.array([0]))
    model = captioner.model
    model.decoder.dropout.rate = model.decoder.word_dropout.rate = 0.0  # the loaded run's own
    tokens = np.array([[START, 5, 6, 7], [START, 8, 5, 4]], "int32")
    targets = np.array([[5, 6, 7, END], [8, 5, 4, END]], "int32")

    def likelihoods():
        logits = keras.ops.convert_to_numpy(model({"features": features, "tokens": tokens}))
        chosen = np.take_along_axis(logits - np.log(np.exp(logits).sum(-1, keepdims=True)), targets[..., None], -1)
        return chosen[..., 0].sum(axis=1)

    before = likelihoods()
    model.compile(keras.optimizers.SGD(0.5), run_eagerly=True)
    weight = np.array([1.0, -1.0], "float32")
    model.train_on_batch({"features": features, "tokens": tokens, "weight": weight}, targets)
    praised, blamed = likelihoods() - before
    assert praised > 0.01 > -0.01 > blamed


def rewards(run):
    train(load_config(settings(stage_one(), learning_rate=3e-3)), run)
    rows = read_csv(run / "history.csv")
    assert all(0 <= row["dev_broken"] <= 1 for row in rows)
    return [row["reward"] for row in rows]


def test_the_reward_rises_and_falls_with_the_sign_reversed(tmp_path, monkeypatch):
    rising = rewards(tmp_path / "run")
    assert np.mean(rising[-3:]) > 1.1 * rising[0]
    monkeypatch.setattr(SampledBatches, "_baseline", lambda self, rows, features, rewards: 2 * rewards - 0.6)
    falling = rewards(tmp_path / "control")
    assert np.mean(falling[-3:]) < 0.9 * falling[0]


def test_it_requires_a_trained_run(tmp_path):
    with pytest.raises(ConfigError, match="resume_weights_from"):
        load_config(shapes.settings(training={"objective": "scst"}))
    with pytest.raises(ConfigError, match="samples of 2 or more"):
        load_config(settings(stage_one(), samples=1))
    other = {**settings(stage_one()), "decoder": {**settings(stage_one())["decoder"], "units": 17}}
    with pytest.raises(CheckpointError, match=r"of another model \(decoder.units: 32, now 17\)"):
        train(load_config(other), tmp_path / "run")
    with pytest.raises(CheckpointError, match="no run|is not a run|does not exist"):
        train(load_config(settings(tmp_path / "nowhere")), tmp_path / "other")


@pytest.mark.parametrize("every", [None, 0])
def test_interrupted_it_resumes_to_the_same_numbers(tmp_path, monkeypatch, every):
    """Samples, dropout, moving average, rewards and optimizer resume, within an epoch too."""
    changes = {"epochs": 3, "samples": 4, "ema": 0.9, "schedule": "cosine", "checkpoint_every": every}
    config = load_config(settings(stage_one(), 0.25, **changes))
    train(config, tmp_path / "whole")

    def dying(self, index, original=SampledBatches.load):
        if (self.epoch, index) == (1, 2):
            raise KeyboardInterrupt
        return original(self, index)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(SampledBatches, "load", dying)
        train(config, tmp_path / "cut")
    assert len(read_csv(tmp_path / "cut" / "history.csv")) == 1
    train(config, tmp_path / "cut", resume=True)
    assert ("resuming after epoch 1 and" in (tmp_path / "cut" / "log.txt").read_text()) == (every == 0)
    whole, cut = (read_csv(tmp_path / name / "history.csv") for name in ("whole", "cut"))
    assert len(whole) == len(cut) == 3
    for one, other in zip(whole, cut, strict=True):
        assert one | {"seconds": 0} == pytest.approx(other | {"seconds": 0}, rel=1e-5, abs=1e-6)
