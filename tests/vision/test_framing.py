import copy
import io
import pickle

import numpy as np
import pytest
from PIL import Image

from capsmith.vision.framing import ImageSize, Resize
from capsmith.vision.images import load_image, load_sizes

RNG = np.random.default_rng(0)


def in_two_steps(image: Image.Image, side: int, shorter: int, resample: Image.Resampling) -> np.ndarray:
    """The PIL image processors of transformers: the shorter side, rounded down, then the centre, rounded down."""
    width, height = image.size
    scale = shorter / min(width, height)
    long = int(shorter * max(width, height) / min(width, height))
    assert long == pytest.approx(max(width, height) * scale, abs=1)
    resized = image.resize((long, shorter) if width > height else (shorter, long), resample)
    left, top = (resized.width - side) // 2, (resized.height - side) // 2
    return np.asarray(resized)[top : top + side, left : left + side]


@pytest.mark.parametrize(
    "size", [(500, 375), (375, 500), (333, 500), (64, 97), (20, 30), (31, 97), (224, 224), (9, 700)]
)
@pytest.mark.parametrize("shorter", [64, 73])
def test_resize_gives_the_bits_of_the_two_steps(size, shorter):
    image = Image.fromarray(RNG.integers(0, 256, (size[1], size[0], 3)).astype(np.uint8))
    for resample in ("bicubic", "bilinear"):
        found = load_image(image, ImageSize(64, 64, Resize(resample, shorter)))
        np.testing.assert_array_equal(found, in_two_steps(image, 64, shorter, Image.Resampling[resample.upper()]))


def test_resize_without_a_shorter_side_keeps_the_complete_image():
    image = Image.fromarray(RNG.integers(0, 256, (90, 333, 3)).astype(np.uint8))
    found = load_image(image, ImageSize(64, 48, Resize("bicubic")))
    np.testing.assert_array_equal(found, np.asarray(image.resize((48, 64), Image.Resampling.BICUBIC)))


def test_jpegs_are_decoded_at_full_size_for_a_resize():
    buffer = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (800, 900, 3)).astype(np.uint8)).save(buffer, "JPEG", quality=95)
    expected = np.asarray(Image.open(io.BytesIO(buffer.getvalue())).resize((64, 64), Image.Resampling.BILINEAR))
    sizes = [ImageSize(64, 64, Resize("bilinear")), (64, 64)]
    exact, fast = load_sizes(buffer.getvalue(), sizes)
    np.testing.assert_array_equal(exact, expected)
    assert (fast != expected).any()  # draft mode, which only exact sizes avoid
    np.testing.assert_array_equal(load_image(buffer.getvalue(), sizes[0]), expected)


@pytest.mark.parametrize("image", [(1, 30000), (30000, 1)])
def test_resize_of_extreme_shapes_needs_no_huge_intermediate_image(image):
    grey = np.full((image[1], image[0]), 99, np.uint8)
    assert (load_image(grey, ImageSize(64, 64, Resize("bicubic", 73))) == 99).all()


def test_a_size_is_a_tuple_that_remembers_its_framing():
    size = ImageSize(64, 48, Resize("bicubic", 73))
    assert list(size) == [64, 48] and (*size, 3) == (64, 48, 3)
    assert size != (64, 48) and (64, 48) != size and size != ImageSize(64, 48, Resize("bicubic"))
    assert size == ImageSize(64, 48, Resize("bicubic", 73)) and len({size, pickle.loads(pickle.dumps(size))}) == 1
    assert ImageSize(64, 48, "stretch") == (64, 48) and len({ImageSize(64, 48, "stretch"), (64, 48)}) == 1
    assert copy.deepcopy(size).framing == size.framing


def test_the_centre_keeps_the_aspect_ratio_where_stretching_does_not():
    y, x = np.mgrid[0:100, 0:300]
    disc = np.where((x - 150) ** 2 + (y - 50) ** 2 < 40**2, 255, 0).astype(np.uint8)
    sizes = ImageSize(50, 50, Resize("bicubic", 50)), (50, 50)
    kept, stretched = (load_image(disc, size)[..., 0] > 127 for size in sizes)
    assert kept.any(axis=0).sum() == pytest.approx(kept.any(axis=1).sum(), abs=1) == pytest.approx(40, abs=1)
    assert stretched.any(axis=0).sum() < stretched.any(axis=1).sum() / 2


def test_an_image_of_the_right_size_is_unchanged():
    pixels = RNG.integers(0, 256, (48, 48, 3)).astype(np.uint8)
    np.testing.assert_array_equal(load_image(pixels, ImageSize(48, 48, Resize("bicubic", 48))), pixels)
