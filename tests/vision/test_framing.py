import io

import numpy as np
import pytest
from PIL import Image

from capsmith.vision.framing import centre_box
from capsmith.vision.images import load_image

RNG = np.random.default_rng(0)


def protocol_of_clip(image: Image.Image, side: int) -> np.ndarray:
    """Resizes the shorter side with the bicubic filter, then cuts out the centre: two steps, as OpenAI's code."""
    width, height = image.size
    if width <= height:
        resized = image.resize((side, int(side * height / width)), Image.Resampling.BICUBIC)
    else:
        resized = image.resize((int(side * width / height), side), Image.Resampling.BICUBIC)
    left, top = round((resized.width - side) / 2), round((resized.height - side) / 2)
    return np.asarray(resized.crop((left, top, left + side, top + side)))


@pytest.mark.parametrize("size", [(500, 375), (375, 500), (333, 500), (64, 97), (20, 30), (31, 97), (224, 224)])
def test_centre_gives_the_pixels_of_clips_protocol(size):
    noise = RNG.integers(0, 256, (size[1], size[0], 3))
    levels = noise if min(size) >= 64 else 64 + noise // 2  # Pillow clips between its passes, whose order varies
    image = Image.fromarray(levels.astype(np.uint8))
    found = load_image(image, (64, 64), framing="centre").astype(int)
    difference = np.abs(found - protocol_of_clip(image, 64))
    assert difference.max() <= 1  # Pillow rounds between its passes and holds the box in 32 bits


def test_centre_keeps_the_aspect_ratio_where_stretch_does_not():
    y, x = np.mgrid[0:100, 0:300]
    disc = np.where((x - 150) ** 2 + (y - 50) ** 2 < 40**2, 255, 0).astype(np.uint8)
    kept, stretched = (load_image(disc, (50, 50), framing=framing)[..., 0] > 127 for framing in ("centre", "stretch"))
    assert kept.any(axis=0).sum() == pytest.approx(kept.any(axis=1).sum(), abs=1) == pytest.approx(40, abs=1)
    assert stretched.any(axis=0).sum() < stretched.any(axis=1).sum() / 2


def test_an_image_of_the_right_size_is_unchanged():
    pixels = RNG.integers(0, 256, (48, 48, 3)).astype(np.uint8)
    np.testing.assert_array_equal(load_image(pixels, (48, 48), framing="centre"), pixels)


def test_a_large_jpeg_is_decoded_at_full_size_for_centre():
    buffer = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (800, 900, 3)).astype(np.uint8)).save(buffer, "JPEG", quality=95)
    decoded = Image.open(io.BytesIO(buffer.getvalue()))
    difference = np.abs(
        load_image(buffer.getvalue(), (64, 64), framing="centre").astype(int) - protocol_of_clip(decoded, 64)
    )
    assert difference.max() <= 1


@pytest.mark.parametrize("image", [(1, 30000), (30000, 1), (2, 3), (1, 1)])
def test_extreme_shapes_need_no_huge_intermediate_image(image):
    left, top, right, bottom = centre_box(image, (64, 64))
    assert 0 <= left < right <= image[0] and 0 <= top < bottom <= image[1]
    assert load_image(np.full((image[1], image[0]), 99, np.uint8), (64, 64), framing="centre").shape == (64, 64, 3)
