"""Thumbnails keep the aspect ratio of any kind of image."""

import numpy as np
import pytest
from PIL import Image

from capsmith.core.errors import ImageError
from capsmith.vision.thumbnails import thumbnail


def save(path, size, mode="RGB", **options):
    Image.new(mode, size).save(path, **options)
    return path


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((640, 480), (320, 240)),
        ((480, 640), (240, 320)),
        ((96, 96), (96, 96)),
        ((12000, 300), (320, 8)),
        ((1, 1), (1, 1)),
    ],
)
def test_thumbnails_keep_the_aspect_ratio(tmp_path, size, expected):
    assert thumbnail(save(tmp_path / "a.png", size), 320).size == expected


def test_small_images_are_enlarged_on_demand(tmp_path):
    assert thumbnail(save(tmp_path / "a.png", (96, 48)), 320, enlarge=True).size == (320, 160)


def test_exif_rotation_swaps_the_sides(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(tmp_path / "a.jpg", (640, 320), exif=exif)
    assert thumbnail(path, 320).size == (160, 320)
    assert thumbnail(Image.open(path), 320).size == (160, 320)


def test_arrays_bytes_and_images_are_accepted(tmp_path):
    path = save(tmp_path / "a.png", (400, 200))
    for source in (np.zeros((200, 400, 3), np.uint8), path.read_bytes(), Image.open(path), str(path)):
        small = thumbnail(source, 100)
        assert small.size == (100, 50) and small.mode == "RGB"


def test_colours_and_sides_are_kept(tmp_path):
    pixels = np.zeros((100, 200, 3), np.uint8)
    pixels[:, :100] = (255, 0, 0)
    small = np.asarray(thumbnail(pixels, 50))
    assert tuple(small[10, 5]) == (255, 0, 0) and tuple(small[10, 45]) == (0, 0, 0)


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "I;16"])
def test_unusual_modes(tmp_path, mode):
    suffix = "tif" if mode in ("CMYK", "I;16") else "png"
    assert thumbnail(save(tmp_path / f"a.{suffix}", (64, 32), mode), 320).size == (64, 32)


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n"])
def test_broken_files_are_one_error(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=r"a\.png"):
        thumbnail(path, 320)
