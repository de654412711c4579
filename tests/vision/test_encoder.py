import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from capsmith.core.errors import FeatureError
from capsmith.vision import encoder as backbone
from capsmith.vision.config import EncoderConfig
from capsmith.vision.encoder import build_encoder
from capsmith.vision.fingerprint import encoder_fingerprint
from capsmith.vision.weights import set_random_weights

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (3, 96, 96, 3)).astype(np.uint8)


def small(**more):
    return EncoderConfig(**({"type": "small_cnn"} | more))


@pytest.fixture(scope="module")
def own_weights(tmp_path_factory):
    """MobileNetV2 with random weights, and its file."""
    model = keras.applications.MobileNetV2(weights=None, include_top=False, input_shape=(96, 96, 3))
    set_random_weights(model, seed=3)
    path = tmp_path_factory.mktemp("weights") / "own.weights.h5"
    model.save_weights(path)
    return model, path


def mobilenet(path, **more):
    return EncoderConfig(**({"type": "mobilenet_v2", "weights": str(path), "image_size": 96} | more))


def test_features_equal_those_of_keras_applications(own_weights):
    model, path = own_weights
    by_hand = model.predict_on_batch(keras.applications.mobilenet_v2.preprocess_input(PIXELS.astype(np.float32)))
    grid = build_encoder(mobilenet(path, output="grid"))
    assert grid.feature_shape == (9, 1280) and grid.image_size == (96, 96)
    np.testing.assert_allclose(grid.encode(PIXELS), by_hand.reshape(3, 9, 1280), atol=1e-4 * by_hand.max())
    pooled = build_encoder(mobilenet(path))
    assert pooled.feature_shape == (1280,)
    np.testing.assert_allclose(pooled.encode(PIXELS), by_hand.mean((1, 2)), atol=1e-4 * by_hand.max())
    wrong = grid.encode(PIXELS[..., ::-1])  # the control: BGR pixels give other features
    assert np.abs(wrong - grid.encode(PIXELS)).max() > 0.05 * by_hand.max()


def test_the_grid_runs_row_by_row_from_the_top_left(monkeypatch):
    inputs = keras.Input((96, 64, 3))
    averages = keras.Model(inputs, keras.layers.AveragePooling2D(16)(inputs))
    monkeypatch.setattr(backbone, "build_network", lambda config: averages)
    encoder = build_encoder(EncoderConfig(weights="none", image_size=(96, 64), preprocess="none", output="grid"))
    pixels = np.zeros((1, 96, 64, 3), np.uint8)
    pixels[0, 32:48, 48:64] = 200, 100, 50  # row 2 of 6, column 3 of 4
    found = encoder.encode(pixels)
    assert found.shape == (1, 24, 3) and found.sum() == 350
    np.testing.assert_allclose(found[0, 2 * 4 + 3], [200, 100, 50])


def test_small_cnn_s_vector_is_mean_and_maximum_of_its_grid():
    grid = build_encoder(small(output="grid")).encode(PIXELS)
    pooled = build_encoder(small())
    assert pooled.feature_shape == (256,)
    np.testing.assert_allclose(pooled.encode(PIXELS), np.concatenate([grid.mean(1), grid.max(1)], 1), atol=1e-5)


def test_integer_and_float_pixels_have_the_same_scale():
    encoder = build_encoder(small())
    np.testing.assert_allclose(encoder.encode(PIXELS), encoder.encode(PIXELS.astype(np.float32)), atol=1e-6)
    assert (
        np.abs(encoder.encode(PIXELS) - encoder.encode(PIXELS + np.float32(0.9))).max() > 1e-5
    )  # not truncated to integers


def test_other_image_sizes_work():
    encoder = build_encoder(small(image_size=(64, 128), output="grid"))
    assert encoder.image_size == (64, 128) and encoder.feature_shape == (32, 128)
    assert encoder.encode(np.zeros((2, 64, 128, 3), np.uint8)).shape == (2, 32, 128)


def test_the_fingerprint_equals_that_of_the_config(own_weights):
    for settings in (small(), mobilenet(own_weights[1], layer="block_2_add", output="grid")):
        assert build_encoder(settings).fingerprint == encoder_fingerprint(settings)


def test_a_grid_of_a_vector_layer_is_refused(monkeypatch):
    monkeypatch.setattr(
        backbone,
        "build_network",
        lambda config: keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()]),
    )
    with pytest.raises(FeatureError, match=r"encoder.output: .*'fc2'.*\(None, 192\)"):
        build_encoder(EncoderConfig(layer="fc2", output="grid", image_size=8, weights="none", preprocess="none"))


def norms(encoder):
    return [layer for layer in encoder.core.layers if isinstance(layer, keras.layers.BatchNormalization)]


def test_pretrained_batch_norm_stays_frozen_and_random_batch_norm_is_trained(own_weights):
    for settings, learns in (
        (mobilenet(own_weights[1], trainable=True), False),
        (small(trainable=True), True),
    ):
        encoder = build_encoder(settings)
        assert encoder.model.trainable_variables
        before = [np.asarray(layer.moving_mean) for layer in norms(encoder)]
        encoder.model(PIXELS, training=True)
        moved = [np.abs(np.asarray(n.moving_mean) - b).max() > 0 for n, b in zip(norms(encoder), before, strict=True)]
        assert all(moved) if learns else not any(moved)
    assert not build_encoder(small()).model.trainable_variables


BACKEND = """
import sys, numpy as np
from capsmith.vision.encoder import build_encoder
from capsmith.vision.config import EncoderConfig
pixels = np.load(sys.argv[1] + "/pixels.npy")
for mode, output in (("caffe", "grid"), ("torch", "pooled")):
    encoder = build_encoder(EncoderConfig(type="small_cnn", preprocess=mode, output=output))
    np.save(f"{sys.argv[1]}/{mode}.npy", encoder.encode(pixels))
"""


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_every_backend_gives_the_same_features(backend, tmp_path):
    if backend == keras.backend.backend():
        pytest.skip("it is the one that the others are compared with")
    pytest.importorskip(backend)
    np.save(tmp_path / "pixels.npy", PIXELS)
    source = str(Path(backbone.__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": source, "KERAS_BACKEND": backend}
    subprocess.run([sys.executable, "-c", BACKEND, str(tmp_path)], env=environment, check=True, capture_output=True)
    for mode, output in (("caffe", "grid"), ("torch", "pooled")):
        expected = build_encoder(small(preprocess=mode, output=output)).encode(PIXELS)
        np.testing.assert_allclose(np.load(tmp_path / f"{mode}.npy"), expected, atol=1e-4 * np.abs(expected).max())


KILLED = """
import os, signal, sys
from pathlib import Path
from capsmith.vision import journal
from capsmith.vision.config import EncoderConfig, FeaturesConfig
from capsmith.vision.extraction import extract
append, count = journal.Journal.append, []
def dying(self, *args):
    append(self, *args)
    count.append(1)
    if len(count) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
journal.Journal.append = dying
images = [(path.name, path) for path in sorted(Path(sys.argv[1]).iterdir())]
features = FeaturesConfig(store=Path(sys.argv[2]), batch_size=4)
extract(images, EncoderConfig(type="small_cnn", output="grid"), features)
"""


def test_a_killed_extraction_with_a_real_network_resumes_to_the_same_features(tmp_path):
    from capsmith.vision.config import FeaturesConfig
    from capsmith.vision.extraction import extract
    from tests.support.fake_encoder import images_in

    images = images_in(tmp_path / "p")
    source = str(Path(backbone.__file__).parents[2])
    arguments = [sys.executable, "-c", KILLED, str(tmp_path / "p"), str(tmp_path / "killed")]
    assert subprocess.run(arguments, env=os.environ | {"PYTHONPATH": source}, capture_output=True).returncode == -9
    stores = [
        extract(images, small(output="grid"), FeaturesConfig(store=tmp_path / name, batch_size=4))
        for name in ("killed", "whole")
    ]
    assert stores[0].ids == stores[1].ids and len(stores[0]) == len(images)
    one, other = (store.gather(store.rows(store.ids)) for store in stores)
    np.testing.assert_array_equal(one, other)


@pytest.mark.shared
def test_real_weights_give_two_near_duplicates_similar_features(shared):
    from capsmith.vision.images import load_image

    weights = shared / "weights" / "mobilenet_v2_1.0_224_notop.weights.h5"
    names = ["2851198725_37b6027625.jpg", "3050606344_af711c726c.jpg", "1000268201_693b08cb0e.jpg"]
    pixels = np.stack([load_image(shared / "flickr8k" / "Images" / name, (224, 224)) for name in names])
    vectors = build_encoder(EncoderConfig(type="mobilenet_v2", weights=str(weights))).encode(pixels)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert vectors[0] @ vectors[1] > 0.99 > 0.8 > vectors[0] @ vectors[2]
