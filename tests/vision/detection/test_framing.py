"""Images come into a network's input as it was trained, and boxes come back to within a pixel."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from capsmith.vision.detection.framing import Preparation

SIZES = [(640, 480), (480, 640), (333, 500), (97, 1001), (50, 40), (640, 640), (2000, 3)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "preparation", [Preparation(), Preparation(corner=True), Preparation(most=300), Preparation("stretch")]
)
def test_a_drawn_box_is_found_where_it_was_drawn(preparation, size):
    """A white rectangle on black: its borders in the input, brought back, are those that were drawn."""
    width, height = size
    box = np.array([width // 4, height // 4, width * 3 // 4 + 1, height * 3 // 4 + 1])
    image = Image.new("RGB", size, "black")
    ImageDraw.Draw(image).rectangle([*box[:2], *(box[2:] - 1)], fill="white")
    pixels, window = preparation.prepared(image, (320, 416))
    assert pixels.shape == (1, 3, 320, 416) and pixels.dtype == np.float32
    bright = pixels[0, 0] > 0.5
    columns, rows = np.flatnonzero(bright.any(axis=0)), np.flatnonzero(bright.any(axis=1))
    found = window.undone(np.array([[columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]]))[0]
    within = np.array([1 / window.across, 1 / window.down] * 2)  # one pixel of the input, or of the image
    assert (np.abs(found - box) <= np.maximum(1, within)).all()


@pytest.mark.parametrize("size", SIZES)
def test_boxes_come_back_to_within_a_pixel(size):
    """The letterbox without rounding, by arithmetic of its own."""
    width, height = size
    ratio = min(320 / height, 416 / width)
    box = np.array([0.1 * width, 0.2 * height, 0.9 * width, 0.95 * height])
    inside = box * ratio + [(416 - width * ratio) / 2, (320 - height * ratio) / 2] * 2
    _, window = Preparation().prepared(Image.new("RGB", size), (320, 416))
    if min(size) * ratio < 1:
        return  # less than a pixel high
    assert np.abs(window.undone(inside[None])[0] - box).max() <= max(1, 1 / ratio)


def test_bars_channels_and_scaling():
    image = Image.new("RGB", (20, 10), (255, 0, 51))
    pixels, _ = Preparation(bgr=True, scale=1.0, mean=(1, 2, 3), std=(2, 4, 8)).prepared(image, (20, 20))
    np.testing.assert_allclose(pixels[0, :, 10, 10], [(51 - 1) / 2, (0 - 2) / 4, (255 - 3) / 8])
    np.testing.assert_allclose(pixels[0, :, 0, 0], [(114 - 1) / 2, (114 - 2) / 4, (114 - 3) / 8])
    pixels, _ = Preparation().prepared(image, (20, 20))
    np.testing.assert_allclose(pixels[0, :, 10, 10], [1, 0, 0.2], rtol=1e-6)
    corner, window = Preparation(corner=True).prepared(image, (20, 20))
    np.testing.assert_allclose(corner[0, 0, [0, 19], 0], [1, 114 / 255], rtol=1e-6)
    assert window.top == 0
