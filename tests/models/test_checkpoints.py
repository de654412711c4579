import json
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from capsmith.config import Config, load_config
from capsmith.core.errors import CapsmithError, CheckpointError
from capsmith.core.migrations import migrate
from capsmith.data.text.vocabulary import Vocabulary
from capsmith.models.caption_model import build_model
from capsmith.models.checkpoints import load_state, load_weights, save_state, save_weights


def model(seed=0, units=3):
    """Returns a compiled model with dropout, batch norm and Adam, after one batch."""
    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Dense(units), keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)]
    made = keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(1)])
    made.compile(keras.optimizers.Adam(0.1), loss="mse", run_eagerly=True)
    step(made)
    return made


def step(made):
    rng = np.random.default_rng(0)
    return float(made.train_on_batch(rng.normal(size=(8, 4)).astype("float32"), np.ones((8, 1), "float32")))


def weights(made):
    return [np.array(keras.ops.convert_to_numpy(v)) for v in made.variables]


def assert_equal(one, other):
    for left, right in zip(one, other, strict=True):
        np.testing.assert_array_equal(left, right)


def differ(one, other):
    return any((left != right).any() for left, right in zip(one, other, strict=True))


def test_weights_round_trip(tmp_path):
    one, other = model(0), model(1)
    assert differ(one.get_weights(), other.get_weights())
    save_weights(one, tmp_path / "run" / "model.weights.h5")
    load_weights(other, tmp_path / "run" / "model.weights.h5")
    assert_equal(one.get_weights(), other.get_weights())
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["model.weights.h5"]


def test_saving_again_replaces_the_file(tmp_path):
    made, path = model(0), tmp_path / "model.weights.h5"
    save_weights(made, path)
    step(made)
    save_weights(made, path)
    fresh = model(1)
    load_weights(fresh, path)
    assert_equal(made.get_weights(), fresh.get_weights())


def test_a_failure_while_saving_leaves_the_old_file(tmp_path, monkeypatch):
    made, path = model(0), tmp_path / "model.weights.h5"
    save_weights(made, path)
    before = path.read_bytes()

    def fail(target, *args, **kwargs):
        with open(target, "wb") as file:
            file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(made, "save_weights", fail)
    with pytest.raises(CapsmithError, match="model.weights.h5.*No space left"):
        save_weights(made, path)
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["model.weights.h5"]


def test_missing_damaged_or_incompatible_weights_are_errors(tmp_path):
    made, path = model(0), tmp_path / "model.weights.h5"
    with pytest.raises(CheckpointError, match="is missing"):
        load_weights(made, path)
    save_weights(model(units=5), path)
    before = made.get_weights()
    with pytest.raises(CheckpointError, match="weights.h5") as caught:
        load_weights(made, path)
    assert "\n" not in str(caught.value)
    for content in (b"", b"\x89HDF", path.read_bytes()[: path.stat().st_size // 2]):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="damaged"):
            load_weights(made, path)
    assert_equal(made.get_weights(), before)


def test_training_resumes_exactly_from_a_state(tmp_path):
    """Weights, Adam's moments and step, batch statistics and dropout seed are restored: later losses are equal."""
    one, other = model(0), model(1)
    save_state(tmp_path / "state.npz", one, {"rows": [{"loss": 0.1 + 0.2}], "ü": None})
    assert load_state(tmp_path / "state.npz", other) == {"rows": [{"loss": 0.1 + 0.2}], "ü": None}
    assert_equal(weights(one), weights(other))
    losses = [[step(made) for _ in range(4)] for made in (one, other)]
    np.testing.assert_allclose(*losses, rtol=1e-6)
    assert len(set(losses[0])) == 4


@pytest.mark.parametrize("left_out", ["optimizer", "seed"])
def test_resuming_requires_all_parts_of_the_state(tmp_path, left_out):
    one, other = model(0), model(1)
    save_state(tmp_path / "state.npz", one, {})
    kept = other.optimizer.variables if left_out == "optimizer" else [v for v in other.variables if "seed" in v.path]
    kept = [(v, np.array(keras.ops.convert_to_numpy(v)) + (left_out == "seed")) for v in kept]
    assert kept
    load_state(tmp_path / "state.npz", other)
    for variable, value in kept:
        variable.assign(value)
    losses = [[step(made) for _ in range(4)] for made in (one, other)]
    assert np.abs(np.subtract(*losses)).max() > 1e-4


def test_a_damaged_or_incompatible_state_is_an_error(tmp_path):
    made, path = model(0), tmp_path / "state.npz"
    save_state(path, made, {"rows": []})
    whole = path.read_bytes()
    before = weights(made)
    weight = keras.ops.convert_to_numpy(made.layers[0].kernel).tobytes()
    assert weight in whole
    for content in (
        b"",
        whole[:1000],
        whole[: len(whole) // 2],
        whole.replace(weight, bytes([weight[0] ^ 0xFF]) + weight[1:]),
    ):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="state.npz") as caught:
            load_state(path, made)
        assert "\n" not in str(caught.value)
    with pytest.raises(CheckpointError, match="none.npz"):
        load_state(tmp_path / "none.npz", made)
    save_state(path, model(units=5), {"rows": []})
    with pytest.raises(CheckpointError, match="state.npz.*--run"):
        load_state(path, made)
    assert_equal(weights(made), before)


def test_a_hostile_state_executes_nothing(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    np.savez(tmp_path / "state.npz", progress=np.array([Evil()], dtype=object), v0=np.zeros(1))
    with pytest.raises(CheckpointError, match="is damaged"):
        load_state(tmp_path / "state.npz", model())
    assert not (tmp_path / "ran").exists()


def test_a_state_contains_only_arrays_and_json(tmp_path):
    save_state(tmp_path / "state.npz", model(), {"rows": []})
    with zipfile.ZipFile(tmp_path / "state.npz") as archive:
        assert all(name.endswith(".npy") for name in archive.namelist())
    with np.load(tmp_path / "state.npz", allow_pickle=False) as saved:
        assert json.loads(saved["progress"].tobytes()) == {"rows": []}
        assert all(saved[name].dtype != object for name in saved.files)


OLD = sorted((Path(__file__).parent / "old_checkpoints").glob("*.json"))


@pytest.mark.parametrize("path", OLD, ids=[path.stem for path in OLD])
def test_weights_of_commit_ca3065f_load_and_give_the_same_logits(path):
    """Saved before decoder methods and config keys were renamed; layers keep their attribute names."""
    saved = json.loads(path.read_text())
    values = {"data": {"type": "folder", "root": "images"}, "decoder": saved["decoder"], "text": {"min_count": 1}}
    config = load_config(migrate(values, Config))
    vocabulary = Vocabulary.build([["a", "red", "bar"], ["a", "blue", "box"]], 1, None)
    model = build_model(config, vocabulary, tuple(saved["feature_shape"]))
    features, tokens = np.float32(saved["features"]), np.int32(saved["tokens"])
    before = keras.ops.convert_to_numpy(model.decoder(features, tokens))
    load_weights(model, path.with_suffix(".weights.h5"))
    after = keras.ops.convert_to_numpy(model.decoder(features, tokens))
    np.testing.assert_allclose(after, saved["logits"], atol=1e-5)
    assert np.abs(before - after).max() > 0.1
