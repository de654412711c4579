"""The cost of an image is computed from its bytes, for ordinary files and for files built to cost too much."""

import io
import random
import time
import tracemalloc
from itertools import islice

import numpy as np
import pytest
from PIL import Image

from capsmith.vision import image_bounds
from capsmith.vision.image_bounds import BOUNDS, has_several_scans, jpeg_scans, tags_fit, webp_size
from capsmith.vision.images import load_image
from tests.support.image_bytes import chunk, crowded_tags, encoded, icon, png, scan_bomb, segment, tiff, tiff_tags

NOISE = Image.effect_noise((90, 70), 80).convert("RGB")


@pytest.mark.parametrize(
    ("data", "scans"),
    [
        (encoded(NOISE, "JPEG"), 1),
        (encoded(NOISE, "JPEG", progressive=True), 10),  # libjpeg's scan list for colour images, jcparam.c
        (encoded(NOISE.convert("L"), "JPEG", progressive=True), 6),
        (scan_bomb(64, 37), 37),
        (scan_bomb(64, 3, data=b"\xff\x00\x12\xff\xd0\x34\xff\xff\x00"), 3),  # stuffed bytes and restart markers
        (scan_bomb(64, 5).replace(b"\xff\xda", b"\0\0\xff\xff\xff\xda"), 5),
        (encoded(NOISE, "JPEG", progressive=True, restart_marker_blocks=2), 10),
        (b"\xff\xd8\xff", 0),
        (b"\xff\xd8\xff\xd9" + scan_bomb(64, 5), 0),
    ],
)
def test_scans_are_counted(data, scans):
    assert len(list(jpeg_scans(data))) == scans


def test_scans_of_thumbnails_and_of_further_images_do_not_count():
    whole = encoded(NOISE, "JPEG", progressive=True)
    thumbnail = segment(0xE1, b"Exif\0\0" + encoded(NOISE.resize((40, 30)), "JPEG", progressive=True))
    data = whole[:2] + thumbnail + whole[2:] + whole
    assert data.count(b"\xff\xda") >= 30 and len(list(jpeg_scans(data))) == 10


@pytest.mark.parametrize(
    ("data", "several"),
    [
        (encoded(NOISE, "JPEG"), False),
        (encoded(NOISE.convert("L"), "JPEG"), False),
        (encoded(NOISE.convert("CMYK"), "JPEG"), False),
        (encoded(NOISE, "JPEG", progressive=True), True),
        (scan_bomb(64, 3, sof=0xC0), False),  # of one colour, the first scan is the last
        (scan_bomb(64, 3, sof=0xC0, colours=3), True),
        (b"\xff\xd8\xff\xe0", False),
    ],
)
def test_only_progressive_jpegs_have_several_scans_read(data, several):
    assert has_several_scans(data) is several


def test_scans_that_no_decoder_reads_are_free():
    grey = encoded(NOISE.convert("L"), "JPEG")
    tail = scan_bomb(64, 200_000)
    began = time.process_time()
    np.testing.assert_array_equal(load_image(grey + tail, (8, 8)), load_image(grey, (8, 8)))
    assert time.process_time() - began < 0.3


def test_the_fast_count_is_never_too_low():
    generator = random.Random(3)
    for _ in range(300):
        data = bytearray(scan_bomb(64, 20, data=b"\x12\xff\0"))
        for _ in range(20):
            data[generator.randrange(len(data))] = generator.choice((0xFF, 0xDA, 0, 0xD9, generator.randrange(256)))
        assert bytes(data).count(b"\xff\xda") >= len(list(jpeg_scans(bytes(data))))


def test_scans_are_located_one_by_one():
    data = scan_bomb(64, 200_000)
    first, second = islice(jpeg_scans(data), 2)
    assert data[first - 8 : first - 6] == data[second - 8 : second - 6] == b"\0\x08"  # the length of their headers


def test_ordinary_files_are_unchanged():
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind in ("JPEG", "PNG", "GIF", "TIFF"):
        data = encoded(NOISE, kind, **({} if kind == "GIF" else {"exif": exif}))
        assert BOUNDS[kind](data) is data


def test_crowded_exif_is_removed_and_the_rest_stays():
    whole = encoded(NOISE, "JPEG")
    assert not tags_fit(crowded_tags())
    for name in (b"Exif\0\0", b"MPF\0"):
        data = whole[:2] + segment(0xE1 if name[0] == 69 else 0xE2, name + crowded_tags()) + whole[2:]
        changed = image_bounds.jpeg(data)
        assert len(changed) == len(data) and sum(a != b for a, b in zip(data, changed, strict=True)) == 3
        assert name not in changed and changed.endswith(whole[2:])


@pytest.mark.parametrize("order", ["<", ">"])
def test_ordinary_tags_fit_in_both_byte_orders(order):
    assert tags_fit(tiff(tiff_tags(8, 8), bytes(64), order))
    assert tags_fit(b"") and tags_fit(b"MM\0*\xff\xff\xff\xff garbage")
    image_bounds.tiff(tiff(tiff_tags(8, 8), bytes(64), order))
    with pytest.raises(ValueError, match="tiles of 16384 × 16384"):
        image_bounds.tiff(tiff(tiff_tags(8, 8, 8, _322=16_384, _323=16_384), bytes(64), order))


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits", "group4"])
@pytest.mark.parametrize("big", [False, True])
def test_tiffs_of_other_programs_are_opened(compression, big):
    image = NOISE.convert("1") if compression == "group4" else NOISE
    data = encoded(image, "TIFF", compression=compression, big_tiff=big)
    assert image_bounds.tiff(data) is data


def test_long_texts_and_profiles_of_a_png_are_removed():
    kept = chunk(b"tEXt", b"Author\0Ada")
    dropped = chunk(b"zTXt", b"k\0\0" + bytes(70_000)) + chunk(b"iCCP", b"p\0\0" + bytes(99))
    assert image_bounds.png(png(8, 8, kept, dropped)) == png(8, 8, kept)
    assert image_bounds.png(png(8, 8, dropped, kept, dropped)) == png(8, 8, kept)
    cut = png(8, 8, dropped)[:60_000]
    assert image_bounds.png(cut) == png(8, 8)[:33]


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 80}, {"quality": 80, "exif": b"Exif\0\0MM"}])
def test_the_size_of_a_webp(options):
    assert webp_size(encoded(NOISE, "WEBP", **options)) == NOISE.size
    frames = [NOISE, NOISE.rotate(90)]
    assert webp_size(encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:])) == NOISE.size


def test_the_largest_image_of_an_icon_is_used():
    made = encoded(NOISE.resize((64, 64)), "ICO", sizes=[(16, 16), (64, 64), (32, 32)])
    assert image_bounds.icon(made).startswith(b"\x89PNG") and image_bounds.icon(made)[16:24] == b"\0\0\0@\0\0\0@"
    bitmap = encoded(NOISE.resize((32, 32)), "ICO", sizes=[(32, 32)], bitmap_format="bmp")
    assert image_bounds.icon(bitmap) == bitmap


BASES = {
    "JPEG": encoded(NOISE, "JPEG", progressive=True, exif=b"Exif\0\0" + tiff(tiff_tags(8, 8))),
    "PNG": png(8, 8, chunk(b"tEXt", b"a\0b"), chunk(b"eXIf", tiff(tiff_tags(8, 8)))),
    "GIF": encoded(NOISE, "GIF", comment=b"said"),
    "TIFF": encoded(NOISE, "TIFF", compression="tiff_lzw"),
    "ICO": icon(encoded(NOISE.resize((16, 16)))),
}


@pytest.mark.parametrize("kind", BASES)
def test_damaged_files_are_refused_or_passed_to_the_decoder(kind):
    check = image_bounds.icon if kind == "ICO" else BOUNDS[kind]
    generator = random.Random(7)
    for _ in range(400):
        data = bytearray(BASES[kind])
        for _ in range(generator.randrange(1, 9)):
            data[generator.randrange(min(len(data), 400))] = generator.randrange(256)
        data = data[: generator.randrange(1, len(data))] if generator.random() < 0.3 else data
        try:
            assert isinstance(check(bytes(data)), bytes)
        except ValueError:
            pass


@pytest.mark.parametrize("start", [b"P6", b"P6\n40", b"P6 40 30", b"P1 40", b"Pf 40 30\n"])
@pytest.mark.parametrize("filler", [b"#" + b"c" * 99_999, b" " * 100_000, b"# a\n" * 25_000])
def test_long_comments_in_the_header_of_a_ppm_are_refused(start, filler):
    with pytest.raises(ValueError, match="comments"):
        BOUNDS["PPM"](start + b" " + filler + b"\n40 30 255\n" + bytes(3600))


def test_comments_of_an_ordinary_ppm_stay():
    for kind, mode, last in ((b"P6", "RGB", b"\n255"), (b"P5", "L", b"\n255"), (b"P4", "1", b"")):
        pixels = bytes(range(256)) * 2000
        data = kind + b"\n# made by # a program\n400 300 # size" + last + b"\n" + pixels
        assert BOUNDS["PPM"](data) is data
        assert Image.open(io.BytesIO(data)).mode == mode
    short = b"P6 # never ends"
    assert BOUNDS["PPM"](short) is short


def test_checking_a_large_file_takes_little_memory():
    data = scan_bomb(64, 1)[:-2] + bytes(20_000_000) + b"\xff\xd9"
    tracemalloc.start()
    try:
        assert image_bounds.jpeg(data) is data and len(list(jpeg_scans(data))) == 1
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
