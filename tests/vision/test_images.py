import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from capsmith.core.errors import ImageError
from capsmith.vision import images
from capsmith.vision.framing import Resize
from capsmith.vision.image_files import open_image, upright_size
from capsmith.vision.images import load_image, opened_pixels

RNG = np.random.default_rng(0)


def smooth(height=60, width=80):
    """Returns a gradient, red to the right and green downwards, that compresses without visible loss."""
    y, x = np.mgrid[0:height, 0:width]
    red, green = 255 * x / (width - 1), 255 * y / (height - 1)
    return np.rint(np.stack([red, green, np.full_like(red, 40.0)], -1)).astype(np.uint8)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def close(found, expected, levels):
    assert found.dtype == np.uint8 and found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= levels


def test_pixels_are_unchanged_from_every_kind_of_source(tmp_path):
    pixels = RNG.integers(0, 256, (12, 9, 3)).astype(np.uint8)
    image = Image.fromarray(pixels)
    path = tmp_path / "a.png"
    image.save(path)
    for source in (path, str(path), path.read_bytes(), image, pixels, pixels.astype(np.float64) / 255):
        np.testing.assert_array_equal(load_image(source, (12, 9)), pixels)


def test_resizing_equals_pillows_bilinear_filter():
    pixels = RNG.integers(0, 256, (50, 70, 3)).astype(np.uint8)
    expected = np.asarray(Image.fromarray(pixels).resize((20, 30), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(load_image(pixels, (30, 20)), expected)


def test_shrinking_averages_pixels():
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 255
    inner = load_image(stripes, (8, 8))[:, 1:-1]
    assert np.abs(inner.astype(int) - 127).max() <= 3  # skipping pixels would give 0 or 255


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_undone(orientation, tmp_path):
    upright = smooth()
    turns = {
        2: "FLIP_LEFT_RIGHT",
        3: "ROTATE_180",
        4: "FLIP_TOP_BOTTOM",
        5: "TRANSPOSE",
        6: "ROTATE_90",
        7: "TRANSVERSE",
    }
    turns[8] = "ROTATE_270"
    stored = Image.fromarray(upright)
    if orientation > 1:  # the pixels as a rotated camera stores them
        stored = stored.transpose(Image.Transpose[turns[orientation]])
    exif = Image.Exif()
    exif[0x0112] = orientation
    close(load_image(encoded(stored, "JPEG", quality=95, exif=exif), (60, 80)), upright, 8)


def test_cmyk_becomes_rgb():
    data = encoded(Image.fromarray(smooth()).convert("CMYK"), "JPEG", quality=95)
    assert Image.open(io.BytesIO(data)).mode == "CMYK"
    close(load_image(data, (60, 80)), smooth(), 8)


def test_sixteen_bits_are_scaled_not_clipped():
    values = np.array([[0, 257, 32896, 65535, 65278]], np.uint16)
    data = encoded(Image.fromarray(values), "PNG")
    expected = np.array([0, 1, 128, 255, 254])
    np.testing.assert_array_equal(load_image(data, (1, 5))[0, :, 0], expected)
    np.testing.assert_array_equal(load_image(encoded(Image.fromarray(values), "TIFF"), (1, 5))[0, :, 1], expected)
    np.testing.assert_array_equal(load_image(values, (1, 5))[0, :, 2], expected)
    wide = Image.fromarray(values.astype(np.int32))
    assert wide.mode == "I"
    np.testing.assert_array_equal(load_image(wide, (1, 5))[0, :, 0], expected)


def sixteen_bit_colour_png():
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    row = b"\0" + struct.pack(">6H", 65535, 0, 32896, 257, 514, 65535)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")


def test_sixteen_bit_colour():
    close(load_image(sixteen_bit_colour_png(), (1, 2)), np.array([[[255, 0, 128], [1, 2, 255]]]), 1)


def test_black_and_white_uses_the_full_range():
    bits = np.array([[0, 255], [255, 0]], np.uint8)
    data = encoded(Image.fromarray(bits).convert("1"), "PNG")
    np.testing.assert_array_equal(load_image(data, (2, 2))[..., 0], bits)
    np.testing.assert_array_equal(load_image(bits.astype(bool), (2, 2))[..., 2], bits)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_composited_on_white(mode):
    grey = Image.new(mode, (3, 1))
    black, see_through, half = ((0, 0, 0, a) if mode == "RGBA" else (0, a) for a in (255, 0, 128))
    for x, value in enumerate((black, see_through, half)):
        grey.putpixel((x, 0), value)
    found = load_image(encoded(grey, "PNG"), (1, 3))
    close(found, np.array([[[0] * 3, [255] * 3, [127] * 3]]), 1)


def test_palette_with_a_transparent_entry():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    np.testing.assert_array_equal(
        load_image(encoded(image, "PNG", transparency=0), (1, 2)), [[[255, 255, 255], [200, 100, 50]]]
    )
    np.testing.assert_array_equal(load_image(encoded(image, "PNG"), (1, 2)), [[[10, 20, 30], [200, 100, 50]]])


def test_an_animation_gives_its_first_frame():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue", "green")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert Image.open(io.BytesIO(data)).n_frames == 3
    close(load_image(data, (4, 4)), np.broadcast_to([255, 0, 0], (4, 4, 3)), 2)


def test_one_pixel_and_a_very_wide_image(tmp_path):
    np.testing.assert_array_equal(load_image(np.array([[[1, 2, 3]]], np.uint8), (5, 4)), np.tile([1, 2, 3], (5, 4, 1)))
    wide = smooth(300, 12_000)
    path = tmp_path / "wide.jpg"
    Image.fromarray(wide).save(path, quality=95)
    found = load_image(path, (96, 96)).astype(int)
    assert found.shape == (96, 96, 3) and (np.diff(found[48, :, 0]) >= -2).all() and found[48, -1, 0] > 245


def test_grey_and_four_channel_arrays():
    grey = RNG.integers(0, 256, (6, 5)).astype(np.uint8)
    np.testing.assert_array_equal(load_image(grey, (6, 5)), np.repeat(grey[..., None], 3, -1))
    np.testing.assert_array_equal(load_image(grey[..., None], (6, 5)), np.repeat(grey[..., None], 3, -1))
    clear = np.zeros((2, 2, 4), np.uint8)
    np.testing.assert_array_equal(load_image(clear, (2, 2)), np.full((2, 2, 3), 255))


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((3, 8, 8), np.uint8), r"shape \(3, 8, 8\) is not"),
        (np.full((8, 8, 3), 200.0), "floats from 200 to 200"),
        (np.full((8, 8, 3), np.nan), "floats from nan"),
        (np.zeros((0, 8, 3), np.uint8), "no pixels"),
        (np.zeros((8, 8, 3), np.int64), "int64 pixels"),
    ],
)
def test_ambiguous_arrays_are_refused(array, said):
    with pytest.raises(ImageError, match=said):
        load_image(array, (8, 8))


def test_large_jpegs_are_decoded_at_reduced_size_with_equal_results():
    scene = Image.fromarray(RNG.integers(0, 256, (40, 60, 3)).astype(np.uint8)).resize(
        (1800, 1200), Image.Resampling.BICUBIC
    )
    data = encoded(scene, "JPEG", quality=92)
    full = np.asarray(Image.open(io.BytesIO(data)).convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)).astype(
        int
    )
    difference = np.abs(load_image(data, (224, 224)) - full)
    assert difference.mean() < 1 and difference.max() <= 12
    shifted = np.abs(np.roll(full, 1, axis=1) - full)
    assert shifted.mean() > 5  # control: a shift by one pixel would show


def test_a_users_pillow_image_is_unchanged(tmp_path):
    path = tmp_path / "big.jpg"
    Image.fromarray(smooth(1200, 1600)).save(path)
    with Image.open(path) as image:
        load_image(image, (96, 96))
        assert image.size == (1600, 1200) and image.mode == "RGB"


def png_header(width, height):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    checked = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    return b"\x89PNG\r\n\x1a\n" + checked + struct.pack(">I", 100) + b"IDAT"


def test_a_pixel_bomb_is_refused_from_its_header(tmp_path):
    for side in (20_000, 10_100, 60_000):
        path = tmp_path / f"bomb{side}.png"
        path.write_bytes(png_header(side, side))  # without pixel data: decoding would fail with another error
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(
                ImageError,
                match=rf"bomb{side}.png: {side} × {side}.*100 meg",
            ):
                load_image(path, (96, 96))
    assert Image.MAX_IMAGE_PIXELS  # Pillow's own limit is restored


def test_just_below_the_limit_pillow_does_not_warn():
    data = png_header(10_000, 9_900)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageError, match="truncated or damaged"):
            load_image(data, (8, 8), max_pixels=99_000_000)


def test_errors_of_broken_files_are_one_line_with_path_and_reason(tmp_path):
    whole = encoded(Image.fromarray(smooth(200, 300)), "JPEG")
    png = encoded(Image.fromarray(RNG.integers(0, 256, (50, 50, 3)).astype(np.uint8)), "PNG")
    cases = {
        "truncated.jpg": (whole[: len(whole) // 2], "truncated"),
        "truncated.png": (png[: len(png) // 2], "truncated"),
        "empty.jpg": (b"", "the file is empty"),
        "text.jpg": (b"this is not an image\n" * 50, "not an image in a known format"),
        "flipped.png": (png[:60] + bytes([png[60] ^ 255]) + png[61:], "damaged"),
    }
    for name, (data, said) in cases.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(ImageError, match=said) as found:
            load_image(path, (96, 96))
        assert str(path) in str(found.value) and "\n" not in str(found.value)
    for path, said in ((tmp_path / "none.jpg", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(ImageError, match=said):
            load_image(path, (96, 96))
    with pytest.raises(ImageError, match=r"image \(bytes\): the file is empty"):
        load_image(b"", (8, 8))


def test_a_damaged_exif_block_does_not_lose_the_image():
    data = encoded(Image.fromarray(smooth()), "JPEG", quality=95, exif=b"Exif\0\0MM\0*\xff\xff\xff\xff garbage")
    close(load_image(data, (60, 80)), smooth(), 8)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "TIFF", "WEBP"])
@pytest.mark.parametrize("turned", [False, True])
def test_an_image_that_was_opened_for_its_size_gives_the_same_pixels(form, turned):
    pixels = np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)
    file, exif = io.BytesIO(), Image.Exif()
    if turned:
        exif[274] = 6
    Image.fromarray(pixels).save(file, form, **({"exif": exif} if turned and form != "GIF" else {}))
    data = file.getvalue()
    with open_image(data, "image") as image:
        upright_size(image)
        found = opened_pixels(image, (20, 30), "image")
    np.testing.assert_array_equal(found, load_image(data, (20, 30)))


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
@pytest.mark.parametrize("framing", ["stretch", Resize("bicubic")])
def test_several_sizes_are_those_of_single_loads_and_decoded_once(tmp_path, monkeypatch, format, framing):
    path = tmp_path / "large"
    noise = np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8)
    Image.fromarray(noise).resize((1300, 900)).save(path, format)
    sizes = [(64, 64), (96, 80), (224, 224), (300, 300), (64, 64)]
    wanted = [load_image(path, size, framing=framing) for size in sizes]
    decoded = []
    monkeypatch.setattr(images, "_upright", lambda image: decoded.append(image.size) or image)
    for source in (path, path.read_bytes()):
        decoded.clear()
        found = images.load_sizes(source, sizes, framing=framing)
        assert all(np.array_equal(one, other) for one, other in zip(found, wanted, strict=True))
        scales = {(1300 // 4, 900 // 4), (1300 // 2, 900 // 2), (1300, 900)}
        assert set(decoded) == (scales if (format, framing) == ("JPEG", "stretch") else {(1300, 900)})
        assert len(decoded) == len(set(decoded))
    with pytest.raises(ImageError, match="name of it"):
        images.load_sizes(path.read_bytes()[:2000], sizes, "name of it", framing=framing)
