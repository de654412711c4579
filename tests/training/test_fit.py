"""Training in one process: what it writes, refuses and reports."""

import csv
import json
import shutil

import keras
import numpy as np
import pytest

from capsmith import Captioner
from capsmith.config import load_config
from capsmith.core.errors import CheckpointError, DataError
from capsmith.training.fit import train
from capsmith.training.history import read_csv
from tests.support import shapes
from tests.support.short import settings


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    run = tmp_path_factory.mktemp("fit") / "run"
    return train(load_config(settings()), run), run


@pytest.fixture
def run(trained, tmp_path):
    """A copy of the run, to resume."""
    return shutil.copytree(trained[1], tmp_path / "run")


def test_files_of_a_run(trained):
    expected = ".lock captioner.json config.yaml domain.npz encoder.json encoder.weights.h5 history.csv history.png "
    expected += "log.txt model.weights.h5 state.npz versions.json vocabulary.json"
    assert sorted(path.name for path in trained[1].iterdir()) == expected.split()
    assert load_config(trained[1] / "config.yaml") == load_config(settings())
    versions = json.loads((trained[1] / "versions.json").read_text())
    assert versions["keras"] == keras.__version__
    assert versions["backend"] == keras.backend.backend()


def test_the_report_after_training():
    run = shapes.trained()
    assert {"index.html", "predictions.jsonl", "scores.json"} <= {path.name for path in (run / "report").iterdir()}
    log = (run / "log.txt").read_text()
    for said in ("images 72 train, 24 dev, 24 test", "vocabulary: 18 words from 144", "epoch 20/20", "best epoch"):
        assert said in log


def test_the_same_seed_gives_the_same_numbers(trained, tmp_path):
    train(load_config(settings()), tmp_path / "again")
    first, second = (read_csv(run / "history.csv")[0] for run in (trained[1], tmp_path / "again"))
    assert {**first, "seconds": 0} == pytest.approx({**second, "seconds": 0}, abs=1e-9)


def test_a_run_is_not_overwritten(run):
    with pytest.raises(CheckpointError, match="already holds a training: add --resume"):
        train(load_config(settings()), run)


@pytest.mark.parametrize(
    ("section", "value", "said"),
    [
        ("training", {"learning_rate": 0.5}, "training.learning_rate"),
        ("decoder", {"units": 17}, "decoder.units: 16, now 17"),
        ("text", {"max_length": 6}, "text.max_length"),
        ("data", {"limit": 5}, "data.limit"),
        ("encoder", {"image_size": 40}, "encoder.image_size"),
    ],
)
def test_another_config_is_not_resumed(run, section, value, said):
    before = (run / "config.yaml").read_text()
    with pytest.raises(CheckpointError, match="another config") as caught:
        train(load_config(settings(**{section: value})), run, resume=True)
    assert said in str(caught.value)
    assert (run / "config.yaml").read_text() == before


def test_settings_without_effect_on_numbers_may_change(run, tmp_path):
    """A moved dataset, another cache, other metrics: the finished training is unchanged."""
    data = shutil.copytree(shapes.data(), tmp_path / "moved")
    before = read_csv(run / "history.csv")
    (run / "history.csv").unlink()  # killed between the state and the history
    weights = (run / "model.weights.h5").read_bytes()
    changes = {"data": {"root": str(data)}, "features": {"cache": str(tmp_path / "cache"), "workers": 1}}
    config = load_config(settings(**changes, evaluation={"metrics": ["rouge"]}))
    train(config, run, resume=True)
    assert read_csv(run / "history.csv") == before
    assert (run / "model.weights.h5").read_bytes() == weights
    assert load_config(run / "config.yaml") == config


def edited(tmp_path, edit):
    """Returns a copy of the data with other captions."""
    data = shutil.copytree(shapes.data(), tmp_path / "edited")
    with (data / "captions.csv").open(newline="") as file:
        rows = [edit(row) for row in csv.reader(file)]
    with (data / "captions.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return {"data": {"root": str(data)}}


def test_changed_captions_are_not_resumed(run, tmp_path):
    changed = edited(tmp_path, lambda row: [row[0], row[1].replace("a red bar", "a red red bar"), row[2]])
    with pytest.raises(CheckpointError, match="the training captions have changed"):
        train(load_config(settings(**changed)), run, resume=True)


@pytest.mark.parametrize("split", ["dev", "test"])
def test_a_missing_split_is_found_before_training(tmp_path, split):
    changed = edited(tmp_path, lambda row: [*row[:2], row[2].replace(split, "train")])
    with pytest.raises(DataError, match=f"the {split} split"):
        train(load_config(settings(**changed, evaluation={"after_training": "test"})), tmp_path / "run")
    assert not (tmp_path / "run" / "state.npz").exists()


def test_leftovers_without_a_state_are_ignored(run):
    (run / "state.npz").unlink()
    (run / "model.weights.h5").write_bytes(b"half")
    captioner = train(load_config(settings()), run)
    path = shapes.data() / "images" / "red_bar_left_3.png"
    assert Captioner.load(run).caption(path) == captioner.caption(path)


def test_weights_decay_with_adamw(trained, tmp_path):
    """By learning rate × decay per step: six steps of five percent."""
    sections = {"optimizer": "adamw", "learning_rate": 1e-3, "weight_decay": 50.0, "schedule": "constant"}
    captioner = train(load_config(settings(training=sections)), tmp_path / "run")
    norms = [
        np.linalg.norm(keras.ops.convert_to_numpy(made.model.decoder.output_layer.kernel))
        for made in (captioner, trained[0])
    ]
    assert norms[0] / norms[1] == pytest.approx(0.95**6, abs=0.03)


def test_initial_weights_from_another_run(trained, tmp_path):
    before = [keras.ops.convert_to_numpy(v) for v in trained[0].model.trainable_variables]
    config = load_config(settings(training={"resume_weights_from": str(trained[1])}))
    after = train(config, tmp_path / "run").model.trainable_variables
    for one, other in zip(before, after, strict=True):
        np.testing.assert_allclose(one, keras.ops.convert_to_numpy(other), atol=1e-5)  # its rate is next to nothing
    fresh = train(load_config(settings(), ["seed=3"]), tmp_path / "fresh").model.trainable_variables
    assert any(np.abs(one - keras.ops.convert_to_numpy(v)).max() > 1e-2 for one, v in zip(before, fresh, strict=True))
