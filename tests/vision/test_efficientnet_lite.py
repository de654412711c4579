"""EfficientNet-Lite2: shapes, parameters, and equality with the published weights."""

from pathlib import Path

import keras
import numpy as np
import pytest

from capsmith.vision.config import EncoderConfig
from capsmith.vision.efficientnet_lite import efficientnet_lite2
from capsmith.vision.encoder import build_encoder, preprocess

WEIGHTS = Path(__file__).parents[3] / "shared" / "weights/efficientnet_lite2_notop.keras"


def test_grid_and_parameters() -> None:
    network = efficientnet_lite2((260, 260))
    assert network.output_shape == (None, 9, 9, 1280)
    assert network.count_params() == 4_869_168  # the published 6.1 M without the classifier, 1280 × 1000 + 1000


def test_pixels_are_scaled_around_127() -> None:
    pixels = np.array([[[[0, 127, 255]]]], np.float32)
    np.testing.assert_allclose(preprocess(pixels, "lite"), [[[[-127 / 128, 0, 1]]]], atol=1e-6)


@pytest.mark.skipif(not WEIGHTS.exists(), reason="needs ../shared/weights")
def test_equals_the_converted_network() -> None:
    encoder = build_encoder(EncoderConfig(type="efficientnet_lite2", weights=str(WEIGHTS), output="grid"))
    pixels = np.random.default_rng(0).integers(0, 256, (2, 260, 260, 3), np.uint8)
    published = keras.saving.load_model(WEIGHTS, compile=False)
    expected = published.predict_on_batch((pixels.astype(np.float32) - 127) / 128)
    np.testing.assert_allclose(encoder.encode(pixels).reshape(expected.shape), expected, atol=1e-4)
