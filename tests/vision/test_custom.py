import json
import zipfile

import keras
import numpy as np
import pytest

from capsmith.core.errors import FeatureError
from capsmith.vision.config import EncoderConfig
from capsmith.vision.custom import load_custom
from capsmith.vision.encoder import build_encoder
from capsmith.vision.saved_encoder import load_encoder, save_encoder

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 24, 32, 3)).astype(np.uint8)


def own_model(height=24, width=32, channels=3):
    inputs = keras.Input((height, width, channels))
    x = keras.layers.Conv2D(6, 3, strides=2, activation="relu", name="first")(keras.layers.Rescaling(1 / 255)(inputs))
    x = keras.layers.Conv2D(5, 3, name="second")(x)
    return keras.Model(inputs, keras.layers.Dense(7, name="head")(keras.layers.GlobalMaxPooling2D()(x)))


@pytest.fixture
def saved(tmp_path):
    model = own_model()
    model.save(tmp_path / "own.keras")
    return model, tmp_path / "own.keras"


def config(path, **more):
    return EncoderConfig(type="custom", weights=str(path), **more)


def test_a_custom_model_gives_its_own_output(saved):
    model, path = saved
    encoder = build_encoder(config(path))
    assert encoder.image_size == (24, 32) and encoder.feature_shape == (7,)
    np.testing.assert_allclose(encoder.encode(PIXELS), model.predict_on_batch(PIXELS.astype(np.float32)), rtol=1e-5)


def test_a_custom_model_up_to_a_layer_is_saved_in_a_run(saved, tmp_path):
    model, path = saved
    settings = config(path, layer="second", output="grid")
    encoder = build_encoder(settings)
    assert encoder.feature_shape == (9 * 13, 5)
    expected = keras.Model(model.inputs, model.get_layer("second").output).predict_on_batch(PIXELS.astype(np.float32))
    np.testing.assert_allclose(encoder.encode(PIXELS), expected.reshape(2, -1, 5), rtol=1e-5, atol=1e-6)
    save_encoder(encoder, tmp_path / "run")
    path.unlink()
    again = load_encoder(settings, tmp_path / "run")
    assert again.fingerprint == encoder.fingerprint
    np.testing.assert_allclose(again.encode(PIXELS), encoder.encode(PIXELS), rtol=1e-6)


def test_sequential_models_work(tmp_path):
    layers = [keras.Input((24, 32, 3)), keras.layers.Conv2D(4, 5, name="c"), keras.layers.Flatten()]
    keras.Sequential(layers).save(tmp_path / "s.keras")
    assert build_encoder(config(tmp_path / "s.keras", layer="c")).feature_shape == (4,)


def test_an_unknown_layer_names_the_nearest(saved):
    with pytest.raises(FeatureError, match="'secnd'.*'second'"):
        build_encoder(config(saved[1], layer="secnd"))


def test_input_sizes_are_checked(saved, tmp_path):
    with pytest.raises(FeatureError, match=r"encoder.image_size.*\(64, 64\).*\(24, 32\)"):
        build_encoder(config(saved[1], image_size=64))
    own_model(None, None).save(tmp_path / "open.keras")
    with pytest.raises(FeatureError, match="encoder.image_size"):
        build_encoder(config(tmp_path / "open.keras"))
    assert build_encoder(config(tmp_path / "open.keras", image_size=(40, 48))).image_size == (40, 48)
    own_model(channels=1).save(tmp_path / "grey.keras")
    with pytest.raises(FeatureError, match=r"\(B, H, W, 3\)"):
        build_encoder(config(tmp_path / "grey.keras"))


def test_a_lambda_layer_is_refused_and_does_not_run(tmp_path):
    mark = tmp_path / "executed"
    inputs = keras.Input((24, 32, 3))
    code = keras.layers.Lambda(lambda x, path=str(mark): (open(path, "w").close(), x)[1], output_shape=(24, 32, 3))
    keras.Model(inputs, code(inputs)).save(tmp_path / "bad.keras")
    mark.unlink(missing_ok=True)
    with pytest.raises(FeatureError, match="Lambda"):
        load_custom(tmp_path / "bad.keras", None, None)
    assert not mark.exists()


def test_a_foreign_class_is_refused_before_keras_imports_it(saved, tmp_path):
    _, path = saved
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    described = json.loads(parts["config.json"])
    described["config"]["layers"][1] |= {
        "module": "os",
        "class_name": "system",
        "registered_name": "os>system",
    }
    parts["config.json"] = json.dumps(described).encode()
    with zipfile.ZipFile(tmp_path / "evil.keras", "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    with pytest.raises(FeatureError, match="os.system"):
        load_custom(tmp_path / "evil.keras", None, None)


def test_a_registered_layer_is_accepted(tmp_path):
    @keras.saving.register_keras_serializable("capsmith_test")
    class Halve(keras.layers.Layer):
        def call(self, x):
            return x / 2

    inputs = keras.Input((24, 32, 3))
    keras.Model(inputs, Halve()(inputs)).save(tmp_path / "h.keras")
    encoder = build_encoder(config(tmp_path / "h.keras"))
    np.testing.assert_allclose(encoder.encode(PIXELS), PIXELS.reshape(2, -1, 3).mean(1) / 2, rtol=1e-5)


@pytest.mark.parametrize("data", [None, b"", b"PK\3\4 broken", "no config"])
def test_missing_and_damaged_files_are_errors(tmp_path, data):
    path = tmp_path / "own.keras"
    if data == "no config":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("metadata.json", "{}")
    elif data is not None:
        path.write_bytes(data)
    with pytest.raises(FeatureError, match=r"(?i)no such file|\.keras"):
        load_custom(path, None, None)


@pytest.mark.parametrize(
    ("mode", "mean", "std"),
    [
        ("torch", [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ("clip", [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]),
        ("unit", [0.0] * 3, [1.0] * 3),
    ],
)
def test_a_custom_model_declares_its_preprocessing_in_the_config(saved, mode, mean, std, tmp_path):
    model, path = saved
    encoder = build_encoder(config(path, preprocess=mode))
    expected = np.asarray(model(((PIXELS / 255 - mean) / std).astype(np.float32)))
    np.testing.assert_allclose(encoder.encode(PIXELS), expected, rtol=1e-4, atol=1e-5)
    save_encoder(encoder, tmp_path / "run")
    np.testing.assert_array_equal(
        load_encoder(config(path, preprocess=mode), tmp_path / "run").encode(PIXELS), encoder.encode(PIXELS)
    )
