import keras
import numpy as np
import pytest

from capsmith.core.errors import FeatureError
from capsmith.vision.weights import count_numbers, count_parameters, load_weights_file, set_random_weights


def model(units=3):
    inputs = keras.Input((4,))
    x = keras.layers.Dropout(0.5)(keras.layers.Dense(units)(inputs))
    return keras.Model(inputs, keras.layers.BatchNormalization()(x))


@pytest.mark.parametrize("name", ["a.weights.h5", "a.h5", "a.keras"])
def test_counts_exclude_optimizer_weights(tmp_path, name):
    trained = model()
    trained.compile("adam", "mse")
    trained.fit(np.ones((8, 4)), np.ones((8, 3)), verbose=0)
    path = tmp_path / name
    trained.save_weights(path) if name == "a.weights.h5" else trained.save(path)
    assert count_numbers(path) == count_parameters(trained) == 4 * 3 + 3 + 4 * 3
    fresh = model()
    load_weights_file(fresh, path)
    for one, other in zip(fresh.get_weights(), trained.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_missing_and_damaged_files_are_errors(tmp_path):
    path = tmp_path / "a.weights.h5"
    with pytest.raises(FeatureError, match="no such file"):
        count_numbers(path)
    model().save_weights(path)
    whole = path.read_bytes()
    for data in (b"", b"not an HDF5 file", whole[: len(whole) // 2]):
        path.write_bytes(data)
        with pytest.raises(FeatureError, match="damaged"):
            count_numbers(path)
    (tmp_path / "a.keras").write_bytes(b"PK no zip")
    with pytest.raises(FeatureError, match="damaged"):
        count_numbers(tmp_path / "a.keras")


def test_files_that_do_not_fit_are_refused_in_one_line(tmp_path):
    model(5).save_weights(tmp_path / "a.weights.h5")
    with pytest.raises(FeatureError, match="encoder weights") as found:
        load_weights_file(model(), tmp_path / "a.weights.h5")
    assert "\n" not in str(found.value)


def test_an_extension_of_the_other_format_is_refused(tmp_path):
    model().save(tmp_path / "whole.h5")
    model().save_weights(tmp_path / "new.weights.h5")
    (tmp_path / "whole.h5").rename(tmp_path / "old.weights.h5")
    (tmp_path / "new.weights.h5").rename(tmp_path / "new.h5")
    with pytest.raises(FeatureError, match=r"rename the file to \.h5"):
        load_weights_file(model(), tmp_path / "old.weights.h5")
    with pytest.raises(FeatureError, match=r"rename the file to \.weights\.h5"):
        load_weights_file(model(), tmp_path / "new.h5")


def test_random_weights_are_reproducible_and_keep_the_scale():
    inputs = keras.Input((16, 16, 8))
    x = keras.layers.Conv2D(64, 3, padding="same")(inputs)
    x = keras.layers.DepthwiseConv2D(3, padding="same")(x)
    one, other = (keras.models.clone_model(keras.Model(inputs, x)) for _ in range(2))
    set_random_weights(one, seed=0)
    set_random_weights(other, seed=0)
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    set_random_weights(other, seed=1)
    assert np.abs(one.get_weights()[0] - other.get_weights()[0]).max() > 0.01
    noise = np.random.default_rng(0).normal(size=(4, 16, 16, 8)).astype(np.float32)
    assert 0.7 < one.predict_on_batch(noise)[:, 2:-2, 2:-2].std() < 1.3
