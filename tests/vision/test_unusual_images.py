"""Images of every kind are captioned, and equal content in different files has equal features."""

import io
import json

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.mistakes import run

ORIENTATION = 0x0112
RANDOM = np.random.default_rng(5)


def scene(width=60, height=44):
    """Returns a smooth image with four different corners, so that rotation is visible."""
    y, x = np.mgrid[0:height, 0:width]
    channels = [x * 255 / width, y * 255 / height, 255 * np.hypot(x / width - 0.2, y / height - 0.3) / 1.2]
    return np.stack(channels, axis=-1).clip(0, 255).astype(np.uint8)


RGB = scene()
GREY = RGB[..., 0]


def encoded(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def jpeg(image, **options):
    return encoded(image, "JPEG", quality=95, subsampling=0, **options)


def orientation(number):
    exif = Image.Exif()
    exif[ORIENTATION] = number
    return exif


def turned(array, number):
    """Stores an upright image as a camera does that notes this orientation.

    The standard (EXIF 2.3, tag 274) says where the stored first row and first column are seen: from 5 on, rows are
    seen as columns; the first row is at the bottom for 3 and 4, at the right for 6 and 7; the first column is at the
    right for 2 and 3, at the bottom for 7 and 8.
    """
    stored = array.transpose(1, 0, 2) if number >= 5 else array
    stored = stored[::-1] if number in (3, 4, 6, 7) else stored
    return np.ascontiguousarray(stored[:, ::-1] if number in (2, 3, 7, 8) else stored)


def palette():
    return Image.fromarray(RGB).quantize(64)


def transparent_palette():
    image = palette()
    image.info["transparency"] = int(np.asarray(image)[0, 0])
    return image


def animation():
    frames = [Image.fromarray(np.roll(RGB, 20 * n, axis=1)).quantize(64) for n in range(3)]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=50, loop=0)


def on_white(image):
    image = image.convert("RGBA")
    return np.asarray(Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB"))


def alpha():
    return np.dstack([RGB, GREY])


def one_bit():
    return Image.fromarray(GREY).convert("1")


def long_strip():
    image = Image.new("RGB", (12_000, 300), "navy")
    ImageDraw.Draw(image).ellipse((5000, 20, 9000, 280), fill="gold")
    return image


UNUSUAL = {
    "cmyk.jpg": lambda: jpeg(Image.fromarray(RGB).convert("CMYK")),
    "16-bit.png": lambda: encoded(Image.fromarray(GREY.astype(np.uint16) * 257)),
    "16-bit.tif": lambda: encoded(Image.fromarray(GREY.astype(np.uint16) * 257), "TIFF"),
    "1-bit.png": lambda: encoded(one_bit()),
    "palette.png": lambda: encoded(palette()),
    "transparent-palette.png": lambda: encoded(transparent_palette(), transparency=3),
    "animated.gif": animation,
    "rotated.jpg": lambda: jpeg(Image.fromarray(turned(RGB, 6)), exif=orientation(6)),
    "grey.jpg": lambda: jpeg(Image.fromarray(GREY)),
    "grey-alpha.png": lambda: encoded(Image.fromarray(np.dstack([GREY, 255 - GREY]))),
    "alpha.png": lambda: encoded(Image.fromarray(alpha())),
    "1x1.png": lambda: encoded(Image.new("RGB", (1, 1), (200, 30, 90))),
    "1x1.gif": lambda: encoded(Image.new("P", (1, 1)), "GIF"),
    "12000x300.jpg": lambda: jpeg(long_strip()),
    "300x12000.png": lambda: encoded(long_strip().rotate(90, expand=True)),
    "photo.webp": lambda: encoded(Image.fromarray(RGB), "WEBP", lossless=True),
    "photo.bmp": lambda: encoded(Image.fromarray(RGB), "BMP"),
    "lab.tif": lambda: encoded(Image.fromarray(RGB).convert("LAB"), "TIFF"),
    "float.tif": lambda: encoded(Image.fromarray(GREY.astype(np.float32) / 255), "TIFF"),
    "progressive.jpg": lambda: jpeg(Image.fromarray(RGB), progressive=True),
    "ending is wrong.gif": lambda: jpeg(Image.fromarray(RGB)),
    "ảnh 图片 صورة.PNG": lambda: encoded(Image.fromarray(RGB)),
}


@pytest.fixture(scope="module")
def captioner(tiny_run):
    from capsmith import Captioner

    return Captioner.load(tiny_run.run)


def features(captioner, *images):
    return captioner.features(list(images))


def test_every_kind_is_captioned_by_the_command_line(tiny_run, tmp_path):
    for name, make in UNUSUAL.items():
        (tmp_path / name).write_bytes(make())
    outcome = run(["caption", str(tiny_run.run), str(tmp_path), "--json", "--show", str(tmp_path / "sheet.png")])
    assert outcome.code == 0 and outcome.errors == ""
    told = [json.loads(line) for line in outcome.output.splitlines()]
    assert sorted(line["image"] for line in told) == sorted(str(tmp_path / name) for name in UNUSUAL)
    assert all(line["caption"].strip() for line in told)
    assert Image.open(tmp_path / "sheet.png").width > 1000


def test_every_source_of_an_image_gives_the_same_caption(captioner, tmp_path):
    path = tmp_path / "scene.png"
    path.write_bytes(encoded(Image.fromarray(RGB)))
    ways = [str(path), path, path.read_bytes(), Image.open(path), RGB, RGB / 255.0, RGB.astype(np.float32) / 255]
    ways += [RGB.astype(np.uint16) * 257, np.asfortranarray(RGB), RGB[::-1][::-1]]
    found = features(captioner, *ways)
    np.testing.assert_array_equal(found, np.repeat(found[:1], len(ways), axis=0))
    assert len({str(captioner.caption(way)) for way in ways}) == 1


EQUAL = {
    "palette": lambda: (encoded(palette()), np.asarray(palette().convert("RGB"))),
    "palette with transparency": lambda: (
        encoded(transparent_palette(), transparency=int(np.asarray(palette())[0, 0])),
        on_white(transparent_palette()),
    ),
    "alpha": lambda: (encoded(Image.fromarray(alpha())), on_white(Image.fromarray(alpha()))),
    "animation": lambda: (animation(), np.asarray(Image.open(io.BytesIO(animation())).convert("RGB"))),
    "grey": lambda: (encoded(Image.fromarray(GREY)), np.repeat(GREY[..., None], 3, axis=2)),
    "grey array": lambda: (GREY, np.repeat(GREY[..., None], 3, axis=2)),
    "1 bit": lambda: (encoded(one_bit()), np.asarray(one_bit().convert("RGB"))),
    "1 bit array": lambda: (GREY > 99, np.repeat(((GREY > 99) * np.uint8(255))[..., None], 3, axis=2)),
    "16 bits": lambda: (encoded(Image.fromarray(GREY.astype(np.uint16) * 257)), GREY),
    "one pixel": lambda: (encoded(Image.new("RGB", (1, 1), (9, 99, 199))), np.full((32, 32, 3), (9, 99, 199), "uint8")),
    "a long strip": lambda: (encoded(long_strip()), np.asarray(long_strip())),
    "WebP": lambda: (encoded(Image.fromarray(RGB), "WEBP", lossless=True), RGB),
    "TIFF": lambda: (encoded(Image.fromarray(RGB), "TIFF", compression="tiff_lzw"), RGB),
}


@pytest.mark.parametrize("name", EQUAL)
def test_equal_content_gives_equal_features(captioner, name):
    one, other = EQUAL[name]()
    found = features(captioner, one, other)
    np.testing.assert_array_equal(found[0], found[1])


@pytest.mark.parametrize("number", range(1, 9))
def test_a_photo_on_its_side_is_turned_upright(captioner, number):
    stored = Image.fromarray(turned(RGB, number))
    found = features(captioner, encoded(stored, exif=orientation(number)), RGB, encoded(stored))
    np.testing.assert_array_equal(found[0], found[1])
    if number > 1:  # without its EXIF it is a different image
        assert np.abs(found[2] - found[1]).max() > 0.01


def test_a_jpeg_on_its_side_is_turned_upright(captioner):
    stored = jpeg(Image.fromarray(turned(RGB, 6)))
    upright = np.rot90(np.asarray(Image.open(io.BytesIO(stored))), -1)
    found = features(captioner, jpeg(Image.fromarray(turned(RGB, 6)), exif=orientation(6)), upright)
    np.testing.assert_array_equal(found[0], found[1])


@pytest.mark.parametrize("make", [UNUSUAL["cmyk.jpg"], UNUSUAL["progressive.jpg"]], ids=["CMYK", "progressive"])
def test_a_lossy_copy_is_nearly_equal_and_not_inverted(captioner, make):
    copy, original, negative = features(captioner, make(), RGB, 255 - RGB)
    assert np.abs(copy - original).max() < 0.1 * np.abs(negative - original).max()
