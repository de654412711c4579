import dataclasses

import keras
import numpy as np
import pytest

from capsmith.core.errors import FeatureError
from capsmith.vision import networks
from capsmith.vision.config import EncoderConfig
from capsmith.vision.encoders import ENCODERS
from capsmith.vision.networks import build_network, layers_by_name, truncate
from capsmith.vision.weights import count_parameters

SIZE = 48
FULL = 64


def tiny(weights="imagenet", include_top=True, input_shape=None):
    """A small network like those of keras.applications: two branches, auto-numbered layers, a flattening classifier."""
    layers = keras.layers
    inputs = keras.Input(input_shape or (FULL, FULL, 3))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3, strides=4, name="block_1_add")(inputs))
    left, right = layers.Conv2D(5, 1)(x), layers.Conv2D(5, 1)(x)
    x = layers.Conv2D(6, 1, name="block_2_add")(layers.Concatenate()([layers.ReLU()(right), left]))
    x = layers.Dropout(0.1, name="out_relu")(layers.Conv2D(7, 1)(x))
    if include_top:
        x = layers.Dense(9, name="predictions")(layers.Flatten(name="flatten")(x))
    return keras.Model(inputs, x, name="tiny")


@pytest.fixture(autouse=True)
def tiny_mobilenet(request, monkeypatch):
    if "shared" not in request.fixturenames:
        monkeypatch.setattr(networks.keras.applications, "MobileNetV2", tiny)
        small = dataclasses.replace(ENCODERS["mobilenet_v2"], size=(FULL, FULL))
        monkeypatch.setitem(networks.ENCODERS, "mobilenet_v2", small)


def config(**more):
    return EncoderConfig(**({"type": "mobilenet_v2", "image_size": SIZE, "weights": "none"} | more))


def network(top=False, size=SIZE):
    model = tiny(include_top=top, input_shape=(size, size, 3))
    random = np.random.default_rng(5)
    for weight in model.weights:  # values that no initialiser draws
        weight.assign(random.normal(2, 0.1, tuple(weight.shape)))
    return model


def same_weights(model, expected):
    assert len(model.weights) == len(expected.weights)
    for one, other in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_network_ends_at_the_named_layer():
    assert build_network(config(layer="block_2_add")).output_shape == (None, 12, 12, 6)
    assert build_network(config(layer="conv2d_1")).output_shape == (None, 12, 12, 5)
    assert build_network(config()).output_shape == (None, 12, 12, 7)


def test_auto_numbered_layers_keep_their_numbers_in_every_model():
    def three():
        inputs = keras.Input((8, 8, 3))
        x = keras.layers.Conv2D(4, 3)(inputs)
        x = keras.layers.Conv2D(5, 3, name="block_7")(x)
        return keras.Model(inputs, keras.layers.Conv2D(6, 3)(x))

    for model in (three(), three()):
        names = layers_by_name(model)
        assert list(names)[1:] == ["conv2d", "block_7", "conv2d_1"]
        assert truncate(model, "conv2d_1").output_shape[-1] == 6


@pytest.mark.parametrize("name", ["a.weights.h5", "a.h5", "a.keras"])
def test_a_file_of_the_complete_network_without_classifier(tmp_path, name):
    given = network()
    given.save_weights(tmp_path / name) if name == "a.weights.h5" else given.save(tmp_path / name)
    same_weights(build_network(config(weights=str(tmp_path / name))), given)
    partial = build_network(config(weights=str(tmp_path / name), layer="block_2_add"))
    same_weights(partial, keras.Model(given.input, given.get_layer("block_2_add").output))


def test_a_file_up_to_the_chosen_layer(tmp_path):
    given = network()
    expected = keras.Model(given.input, given.get_layer("block_2_add").output)
    expected.save_weights(tmp_path / "cut.weights.h5")
    same_weights(build_network(config(weights=str(tmp_path / "cut.weights.h5"), layer="block_2_add")), expected)


def test_a_file_with_the_classifier_serves_the_network_without_and_at_another_size(tmp_path):
    given = network(top=True, size=FULL)
    given.save_weights(tmp_path / "top.weights.h5")
    expected = keras.Model(given.input, given.get_layer("out_relu").output)
    same_weights(build_network(config(weights=str(tmp_path / "top.weights.h5"))), expected)


def test_a_layer_within_the_classifier(tmp_path):
    given = network(top=True, size=FULL)
    given.save_weights(tmp_path / "top.weights.h5")
    settings = {"weights": str(tmp_path / "top.weights.h5"), "layer": "predictions"}
    core = build_network(config(**settings, image_size=FULL))
    assert core.output_shape == (None, 9)
    same_weights(core, given)
    with pytest.raises(FeatureError, match=r"encoder.layer: 'predictions'.*image_size \(64, 64\)"):
        build_network(config(**settings))
    network(size=FULL).save_weights(tmp_path / "notop.weights.h5")
    with pytest.raises(FeatureError, match=r"encoder weights .* hold [\d,]+ numbers.*classifier"):
        build_network(config(weights=str(tmp_path / "notop.weights.h5"), layer="predictions", image_size=FULL))


def test_a_file_of_another_extent_is_refused_though_keras_would_take_it(tmp_path):
    given = network()
    more = keras.layers.Conv2D(3, 1, name="another")(given.get_layer("block_2_add").output)
    keras.Model(given.input, more).save_weights(tmp_path / "two.weights.h5")
    with pytest.raises(FeatureError, match=r"encoder weights .* hold [\d,]+ numbers") as found:
        build_network(config(weights=str(tmp_path / "two.weights.h5"), layer="block_1_add"))
    assert "up to 'block_1_add'" in str(found.value) and "\n" not in str(found.value)
    loose = keras.Model(given.input, given.get_layer("block_1_add").output)
    loose.load_weights(tmp_path / "two.weights.h5")  # the control: Keras raises no error


def test_misspelt_layers_name_the_nearest():
    with pytest.raises(FeatureError, match="'block_2_ad'.*'block_2_add'"):
        build_network(config(layer="block_2_ad"))
    with pytest.raises(FeatureError, match="small_cnn.*'block9_out'.*'block"):
        build_network(EncoderConfig(type="small_cnn", layer="block9_out"))


def test_a_too_small_image_size_is_refused():
    with pytest.raises(FeatureError, match="encoder.image_size: inception_v3.*75"):
        build_network(EncoderConfig(type="inception_v3", image_size=32, weights="none"))


def test_imagenet_weights_come_from_keras_applications(monkeypatch):
    asked = []
    given = network()

    def fetch(weights, include_top, input_shape):
        asked.append((weights, include_top, input_shape))
        model = tiny(weights=None, include_top=include_top, input_shape=input_shape)
        if weights == "imagenet":
            model.set_weights(given.get_weights())
        return model

    monkeypatch.setattr(networks.keras.applications, "MobileNetV2", fetch)
    same_weights(build_network(config(weights="imagenet")), given)
    assert asked == [("imagenet", False, (SIZE, SIZE, 3))]
    expected = keras.Model(given.input, given.get_layer("block_2_add").output)
    same_weights(build_network(config(weights="imagenet", layer="block_2_add")), expected)


def test_a_failed_download_names_the_remedy(monkeypatch):
    def fetch(weights, **kwargs):
        raise Exception(f"URL fetch failure on https://example.org/{weights}.h5: None -- [Errno -2] Name or\nservice")

    monkeypatch.setattr(networks.keras.applications, "MobileNetV2", fetch)
    with pytest.raises(FeatureError, match="mobilenet_v2.*URL fetch.*encoder.weights") as found:
        build_network(config(weights="imagenet"))
    assert "\n" not in str(found.value)


def test_random_frozen_weights_repeat_and_trainable_ones_follow_the_seed():
    small = {"type": "small_cnn"}
    same_weights(build_network(EncoderConfig(**small)), build_network(EncoderConfig(**small)))
    kernels = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        kernels.append(build_network(EncoderConfig(**small, trainable=True)).get_weights()[0])
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert np.abs(kernels[0] - kernels[2]).max() > 0.01


@pytest.mark.shared
@pytest.mark.parametrize(
    ("settings", "name", "shape"),
    [
        ({"type": "mobilenet_v2"}, "mobilenet_v2_1.0_224_notop.weights.h5", (7, 7, 1280)),
        ({"type": "inception_v3", "layer": "mixed8"}, "inception_v3_to_mixed8.weights.h5", (8, 8, 1280)),
    ],
)
def test_the_shared_weights_load_completely(shared, settings, name, shape):
    import h5py

    core = build_network(EncoderConfig(**settings, weights=str(shared / "weights" / name)))
    assert core.output_shape[1:] == shape
    stored = []
    with h5py.File(shared / "weights" / name) as file:
        file.visititems(lambda _, item: stored.append(np.asarray(item)) if isinstance(item, h5py.Dataset) else None)
    digests = [sorted((array.shape, array.tobytes()) for array in arrays) for arrays in (stored, core.get_weights())]
    assert digests[0] == digests[1]


@pytest.mark.parametrize("cut_at", ["block_1_add", "conv2d"])
def test_a_file_up_to_a_later_layer_is_accepted(tmp_path, cut_at):
    given = network()
    longer = truncate(given, "block_2_add")
    longer.save_weights(tmp_path / "longer.weights.h5")
    core = build_network(config(weights=str(tmp_path / "longer.weights.h5"), layer=cut_at))
    for one, other in zip(truncate(given, cut_at).get_weights(), core.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_longer_file_must_contain_all_chosen_layers():
    """A large parallel branch has enough numbers, but not those of the chosen layers."""
    inputs = keras.Input((8, 8, 3))
    small, large = keras.layers.Conv2D(2, 1, name="small")(inputs), keras.layers.Conv2D(9, 1, name="large")(inputs)
    both = keras.layers.Concatenate(name="both")([small, large])
    whole = keras.Model(inputs, keras.layers.Conv2D(3, 1)(both))
    core, beside, longer = (truncate(whole, name) for name in ("small", "large", "both"))
    assert networks._part_with(whole, core, count_parameters(beside)) is None
    assert count_parameters(networks._part_with(whole, core, count_parameters(longer))) == count_parameters(longer)
