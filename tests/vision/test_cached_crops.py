"""Views: crops and mirroring, checked on images whose pixels encode their position."""

import numpy as np
import pytest
from PIL import Image

from capsmith.vision.cached_crops import MIN_SIDE, Crop, crop_of, is_mirrored
from capsmith.vision.images import load_image


def gradient(width, height):
    """Returns an image whose red channel encodes the column and whose green channel encodes the row."""
    red = np.linspace(0, 255, width)[None].repeat(height, 0)
    green = np.linspace(0, 255, height)[:, None].repeat(width, 1)
    return np.stack([red, green, np.zeros_like(red)], -1).astype(np.uint8)


def test_crop_zero_is_the_complete_image():
    assert crop_of("a.jpg", 0) is None


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_crop_depends_only_on_image_and_number(number):
    one = crop_of("a.jpg", number)
    assert one == crop_of("a.jpg", number)
    assert one != crop_of("b.jpg", number) and one.box != crop_of("a.jpg", number + 1).box
    assert one.mirrored == is_mirrored(number) == bool(number % 2)


def test_crops_lie_inside_the_image_and_keep_the_minimum_side():
    boxes = np.array([crop_of(f"{n}.jpg", 1).box for n in range(500)])
    left, top, right, bottom = boxes.T
    assert boxes.min() >= 0 and boxes.max() <= 1
    for side in (right - left, bottom - top):
        assert side.min() >= MIN_SIDE and side.max() <= 1
        assert abs(side.mean() - (1 + MIN_SIDE) / 2) < 0.02
    assert np.ptp(left) > 0.15 and np.ptp(top) > 0.15


def test_mirrored_views_are_flipped():
    image = gradient(40, 30)
    seen = load_image(image, (30, 40), crop=Crop(True, (0.0, 0.0, 1.0, 1.0)))
    np.testing.assert_array_equal(seen, image[:, ::-1])


@pytest.mark.parametrize("mirrored", [False, True])
def test_cropped_views_have_the_expected_colours(mirrored):
    """A crop of the left half and upper quarter."""
    seen = load_image(gradient(400, 400), (50, 50), crop=Crop(mirrored, (0.0, 0.0, 0.5, 0.25)))
    red, green = seen[..., 0].astype(float), seen[..., 1].astype(float)
    expected = (255 - red.mean()) if mirrored else red.mean()
    assert abs(expected - 255 / 4) < 3
    assert abs(green.mean() - 255 / 8) < 3
    assert (np.diff(red[0]) > 0).all() != mirrored


def test_crop_boxes_refer_to_the_upright_image(tmp_path):
    """A camera held sideways: the file's rows are the image's columns."""
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate clockwise by 90 degrees
    Image.fromarray(gradient(200, 100)).save(tmp_path / "sideways.png", exif=exif)
    seen = load_image(tmp_path / "sideways.png", (64, 64), crop=Crop(False, (0.0, 0.0, 1.0, 0.5)))
    assert abs(seen[..., 0].mean() - 255 / 4) < 4  # the upper half is the file's left half
    assert abs(seen[..., 1].mean() - 255 / 2) < 4
