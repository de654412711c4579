import keras
import numpy as np
import pytest
from keras import applications

from capsmith.vision.config import EncoderConfig
from capsmith.vision.encoder import build_encoder, preprocess
from capsmith.vision.encoders import ENCODERS

NETWORKS = [spec for spec in ENCODERS.values() if spec.application]
MODULES = [
    getattr(applications, name)
    for name in dir(applications)
    if hasattr(getattr(applications, name), "preprocess_input")
]
MODES = ["caffe", "tf", "torch"]


def module_of(application: str):
    return next(module for module in MODULES if hasattr(module, application))


def test_the_table_has_all_documented_encoders():
    assert {
        "resnet50",
        "resnet152",
        "resnet101_v2",
        "vgg16",
        "vgg19",
        "inception_v3",
        "xception",
        "mobilenet_v2",
    } <= set(ENCODERS)
    assert {
        "efficientnet_b0",
        "efficientnet_b7",
        "efficientnet_v2_b0",
        "efficientnet_v2_l",
        "densenet121",
    } <= set(ENCODERS)
    assert {"convnext_tiny", "convnext_base", "small_cnn", "custom"} <= set(ENCODERS)
    assert all(name == spec.name for name, spec in ENCODERS.items())


@pytest.mark.parametrize("spec", NETWORKS, ids=lambda spec: spec.name)
def test_pixel_scaling_equals_keras_applications(spec):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3)).astype(np.float32)
    expected = module_of(spec.application).preprocess_input(pixels.copy())
    inputs = keras.Input((5, 4, 3))
    scaled = preprocess(inputs, spec.preprocess)
    found = keras.Model(inputs, scaled).predict_on_batch(pixels) if scaled is not inputs else pixels
    np.testing.assert_allclose(found, expected, atol=2e-4)


@pytest.mark.parametrize("spec", NETWORKS, ids=lambda spec: spec.name)
def test_image_size_is_the_default_of_keras_applications(spec, monkeypatch):
    from keras.src.applications import imagenet_utils

    class Asked(Exception):
        pass

    def ask(input_shape, default_size, *args, **kwargs):
        raise Asked(default_size)

    monkeypatch.setattr(imagenet_utils, "obtain_input_shape", ask)
    with pytest.raises(Asked) as found:
        getattr(applications, spec.application)(weights=None)
    assert spec.size == (found.value.args[0],) * 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "spec",
    [spec for spec in ENCODERS.values() if spec.name not in ("custom", "onnx", "hub")],
    ids=lambda spec: spec.name,
)
def test_networks_build_and_have_the_listed_channels(spec):
    encoder = build_encoder(EncoderConfig(type=spec.name, weights="none", image_size=96, trainable=True))
    assert encoder.feature_shape == (int(spec.description.split("-d")[0]),)
