"""Standardised features: mean and standard deviation by hand."""

import keras
import numpy as np

from capsmith.models.decoders.feature_scaling import FeatureScaling, SpatialDropout


def test_scaled_features_have_mean_zero_and_deviation_one():
    rng = np.random.default_rng(0)
    features = rng.normal([5.0, -2.0, 0.5], [2.0, 0.5, 1.0], size=(200, 4, 3)).astype(np.float16)
    layer = FeatureScaling()
    layer.build((None, 4, 3))
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(layer(features.astype("float32"))), features)
    layer.learn(features)
    found = keras.ops.convert_to_numpy(layer(features.astype("float32"))).reshape(-1, 3)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=2e-3)
    np.testing.assert_allclose(
        found.std(axis=0), 1, atol=0.04
    )  # the floor slightly shrinks the channel of low variance


def test_constant_channels_are_not_amplified():
    features = np.zeros((50, 2), np.float32)
    features[:, 0] = np.random.default_rng(0).normal(size=50)
    features[0, 1] = 1e-4
    layer = FeatureScaling()
    layer.build((None, 2))
    layer.learn(features)
    assert np.abs(keras.ops.convert_to_numpy(layer(features))[:, 1]).max() < 0.01
    layer.learn(np.ones((5, 2), np.float32))
    assert np.isfinite(keras.ops.convert_to_numpy(layer(features))).all()


def test_spatial_dropout_drops_a_channel_in_all_regions():
    layer = SpatialDropout(0.25, seed=1)
    features = np.ones((64, 5, 40), "float32")
    found = keras.ops.convert_to_numpy(layer(features, training=True))
    hidden = found[:, 0] == 0
    np.testing.assert_array_equal(found == 0, np.repeat(hidden[:, None], 5, axis=1))
    np.testing.assert_allclose(found[found != 0], 1 / 0.75, rtol=1e-6)
    assert abs(hidden.mean() - 0.25) < 0.03 and 0 < hidden.any(axis=0).mean() and not hidden.all(axis=0).any()
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(layer(features, training=False)), features)
    pooled = keras.ops.convert_to_numpy(SpatialDropout(0.5, seed=1)(np.ones((50, 30), "float32"), training=True))
    assert abs((pooled == 0).mean() - 0.5) < 0.06
