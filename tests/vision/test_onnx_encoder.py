"""An exported encoder gives the features of its graph, for any batch and any kind of pixels."""

import numpy as np
import pytest

from capsmith.core.errors import CheckpointError
from capsmith.vision.onnx_encoder import OnnxEncoder
from tests.support.exports import SIDE, D, Reference, graphs

PIXELS = np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE, 3), np.uint8)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "encoder.onnx"
    path.write_bytes(graphs(Reference())["encoder.onnx"].SerializeToString())
    return path


def test_features_do_not_depend_on_the_batch(path):
    encoder = OnnxEncoder(path, (SIDE, SIDE), (D,))
    together = encoder.encode(PIXELS)
    assert together.dtype == np.float32 and encoder.parts == (encoder,)
    np.testing.assert_allclose(together, Reference().encode(PIXELS), rtol=1e-4, atol=1e-5)
    for number in range(5):
        np.testing.assert_array_equal(encoder.encode(PIXELS[number : number + 1])[0], together[number])


def test_float_pixels_are_rounded(path):
    encoder = OnnxEncoder(path, (SIDE, SIDE), (D,))
    np.testing.assert_array_equal(encoder.encode(PIXELS + np.float64(0.3)), encoder.encode(PIXELS))


def test_another_shape_is_refused(path):
    with pytest.raises(CheckpointError, match="features"):
        OnnxEncoder(path, (SIDE, SIDE), (4, D))
