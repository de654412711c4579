"""Images are opened in one module, only in listed formats, and within limits on memory and time."""

import ast
import io
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import capsmith
from capsmith.core.errors import ImageError
from capsmith.vision import image_files
from capsmith.vision.image_files import open_image, orientation
from capsmith.vision.image_formats import FORMATS, HEAD, IMAGE_ENDINGS, format_of
from capsmith.vision.images import load_image
from capsmith.vision.thumbnails import thumbnail
from tests.support.image_bytes import box, chunk, crowded_tags, encoded, icon, iptc, png, scan_bomb, segment, tiff

RED = Image.new("RGB", (40, 30), (200, 30, 40))
SIZE = (6, 8)
EXIF_TURNED = Image.Exif()
EXIF_TURNED[0x0112] = 6


def looks_red(source):
    pixels = load_image(source, SIZE).astype(int)
    return np.abs(pixels - (200, 30, 40)).max() <= 12


# --- formats ----------------------------------------------------------------------------------------------------------


def test_only_one_module_opens_images():
    opening = set()
    for path in Path(capsmith.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr == "open" and ast.unparse(node.value).endswith("Image"):
                opening.add(path.name)
    assert opening == {"image_files.py"}


SAVED = {"AVIF": {"quality": 90}, "HEIF": {"quality": 90}, "ICO": {"sizes": [(40, 30)]}, "MPO": {"quality": 95}}


@pytest.mark.parametrize("kind", [*FORMATS, "MPO"])
def test_each_format_of_the_list_is_read(kind, tmp_path):
    if kind == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener(thumbnails=False)
    Image.init()
    if kind not in Image.SAVE:
        pytest.skip(f"this Pillow writes no {kind}")
    data = encoded(RED, kind, **SAVED.get(kind, {}))
    assert format_of(data[:HEAD]) == ("JPEG" if kind == "MPO" else kind)
    path = tmp_path / "image"
    path.write_bytes(data)
    assert looks_red(data) and looks_red(path)
    assert thumbnail(path, 40).size == (40, 30)


def test_no_other_format_of_pillow_is_opened():
    """All formats that Pillow can write, most of which it can also read."""
    Image.init()
    tried = 0
    for kind in set(Image.SAVE) - set(FORMATS) - {"MPO", "DIB"}:
        for mode in ("RGB", "L", "1", "P"):
            try:
                data = encoded(RED.convert(mode), kind)
            except Exception:
                continue
            tried += 1
            with pytest.raises(ImageError, match="not an image|PostScript|JPEG 2000"):
                load_image(data, SIZE)
    assert tried > 15


def test_the_decoded_format_must_match_the_signature(monkeypatch):
    class Other:
        format, size, tile = "EPS", (8, 8), ()

        def close(self):
            self.closed = True

    other = Other()
    monkeypatch.setattr(Image, "open", lambda *_, **__: other)
    with pytest.raises(ImageError, match="JPEG, but is EPS"):
        open_image(encoded(RED, "JPEG"), "a.jpg")
    assert other.closed


def test_pillow_alone_would_open_the_wrapper():
    data = iptc(encoded(RED, "JPEG"))
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "IPTC"
        image.load()  # opens the content in any format
        assert image.im.size == RED.size
    with pytest.raises(ImageError, match="not an image"):
        load_image(data, SIZE)
    with Image.open(io.BytesIO(data)) as image, pytest.raises(ImageError, match="IPTC"):
        load_image(image, SIZE)


def test_a_loaded_image_of_any_format_is_accepted():
    with Image.open(io.BytesIO(encoded(RED, "TGA"))) as image:
        image.load()
        assert looks_red(image)


def test_a_closed_image_gives_one_line():
    image = Image.open(io.BytesIO(encoded(RED)))
    image.close()
    with pytest.raises(ImageError, match="cannot be decoded"):
        load_image(image, SIZE)


@pytest.mark.parametrize("source", [None, 7, 1.5, object(), bytearray(b"x"), ["a.jpg"]])
def test_other_types_are_refused(source):
    with pytest.raises(ImageError, match="is not an image"):
        load_image(source, SIZE)


@pytest.mark.parametrize(
    ("brands", "expected"),
    [
        (b"avif\0\0\0\0avifmif1", "AVIF"),
        (b"mif1\0\0\0\0mif1avif", "AVIF"),
        (b"mif1\0\0\0\0mif1heic", "HEIF"),
        (b"heix\0\0\0\0", "HEIF"),
        (b"msf1\0\0\0\0hevc", "HEIF"),
        (b"isom\0\0\2\0mp41", None),
        (b"qt  ", None),
        (b"", None),
    ],
)
def test_box_formats_are_detected_by_their_brands(brands, expected):
    assert format_of(box(b"ftyp", brands) + bytes(40)) == expected


def test_extensions_are_lower_case_and_unique():
    assert sum(map(len, FORMATS.values())) == len(IMAGE_ENDINGS)
    assert all(ending == ending.lower() and ending[0] == "." for ending in IMAGE_ENDINGS)
    assert {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".heic", ".avif"} <= IMAGE_ENDINGS


# --- special files ----------------------------------------------------------------------------------------------------


def test_pipes_sockets_devices_and_folders_are_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.jpg")
        (tmp_path / "zero.jpg").symlink_to("/dev/zero")
        (tmp_path / "loop.jpg").symlink_to("loop.jpg")
        said = {"pipe.jpg": "a pipe", "socket.jpg": "a socket", "zero.jpg": "a device", "/dev/zero": "a device"}
        said |= {"loop.jpg": "symbolic links", ".": "Is a directory", "/dev/null": "a device"}
        began = time.monotonic()
        for name, words in said.items():
            with pytest.raises(ImageError, match=words):
                load_image(name, SIZE)
            with pytest.raises(ImageError, match=words):
                thumbnail(name, 32)
    assert time.monotonic() - began < 5


def test_a_file_replaced_by_a_pipe_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.jpg"
    os.mkfifo(path)
    real = Path.stat
    ordinary = real(Path(__file__))
    monkeypatch.setattr(Path, "stat", lambda self, **more: ordinary if self == path else real(self, **more))
    with pytest.raises(ImageError, match="not a file, but a pipe"):
        open_image(path, "a.jpg")


def test_files_beyond_the_limit_are_not_read(tmp_path, monkeypatch):
    path = tmp_path / "huge.jpg"
    with path.open("wb") as file:
        file.write(encoded(RED, "JPEG"))
        file.truncate(image_files.MAX_BYTES + 1)  # a sparse file
    with pytest.raises(ImageError, match="1,073,741,825 bytes"):
        load_image(path, SIZE)
    with path.open("wb") as file:
        file.truncate(image_files.MAX_BYTES)
    began = time.process_time()
    with pytest.raises(ImageError, match="not an image"):
        load_image(path, SIZE)  # refused by its first bytes
    assert time.process_time() - began < 0.3


def test_a_growing_file_is_read_up_to_its_first_size(tmp_path, monkeypatch):
    path, data = tmp_path / "a.png", encoded(RED)
    path.write_bytes(data)
    real = os.fstat

    def fstat(number):
        found = real(number)
        with path.open("ab") as file:
            file.write(bytes(1000))
        return found

    monkeypatch.setattr(os, "fstat", fstat)
    assert image_files._read(path, "a.png") == data


# --- limits on cost ---------------------------------------------------------------------------------------------------


def test_scans_times_pixels_are_bounded():
    for side, scans in ((9984, 21), (9984, 3000), (2000, 501), (5000, 81)):
        data = scan_bomb(side, scans)
        began = time.process_time()
        with pytest.raises(ImageError, match=f"with more than {2_000_000_000 // side**2} scans"):
            load_image(data, SIZE)
        assert time.process_time() - began < 0.5
    assert load_image(scan_bomb(2000, 500), SIZE).shape == (*SIZE, 3)


def test_decoding_in_pieces_gives_the_same_pixels():
    noise = Image.effect_noise((700, 500), 90).convert("RGB")
    data = encoded(noise, "JPEG", progressive=True, quality=95)
    with open_image(data, "a") as image:
        whole = np.asarray(image)
    with open_image(data, "a") as image:
        image.load_read = image_files._pieces(data, [n for n in range(50, len(data), 97)])
        np.testing.assert_array_equal(np.asarray(image), whole)


def test_a_long_jpeg_is_decoded_a_few_scans_at_a_time(monkeypatch):
    data = scan_bomb(9984, 20)
    with open_image(data, "a") as image:
        sizes = [len(piece) for piece in iter(lambda: image.load_read(65_536), b"")]
    assert sum(sizes) == len(data)
    assert len(sizes) == 10 and max(sizes) < 300  # two scans each
    with open_image(encoded(RED, "JPEG", progressive=True), "a") as image:
        assert "load_read" not in vars(image)


class Alarm(BaseException):
    """Stands for Ctrl-C in this test."""


def test_a_signal_interrupts_decoding_of_the_costliest_jpeg():
    def ring(*_):
        raise Alarm

    data = scan_bomb(9984, 20)
    before = signal.signal(signal.SIGALRM, ring)
    began = time.process_time()
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(Alarm):
            for _ in range(50):
                load_image(data, (224, 224))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert time.process_time() - began < 1.5


def test_a_png_with_giant_texts_and_profile_is_read():
    packed = zlib.compress(bytes(200_000_000), 9)
    assert len(packed) > 65_536
    bombs = [chunk(b"zTXt", b"said\0\0" + packed), chunk(b"iTXt", b"said\0\1\0\0\0" + packed)]
    bombs.append(chunk(b"iCCP", b"profile\0\0" + packed))
    rows = (b"\0" + bytes((200, 30, 40)) * 8) * 6
    began = time.process_time()
    assert looks_red(png(8, 6, *bombs * 20, rows=rows))
    assert time.process_time() - began < 0.5


def test_crowded_exif_costs_no_memory_and_loses_nothing(tmp_path):
    script = (
        "import resource, sys; from capsmith.vision.images import load_image\n"
        "def used(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "load_image(sys.argv[1], (8, 8)); before = used()\n"
        "for path in sys.argv[2:]: load_image(path, (8, 8))\n"
        "print(used() - before)"
    )
    whole = encoded(RED, "JPEG")
    tags = crowded_tags()
    files = {
        "plain": whole,
        "exif": whole[:2] + segment(0xE1, b"Exif\0\0" + tags) * 8 + whole[2:],
        "mpf": whole[:2] + segment(0xE2, b"MPF\0" + tags) + whole[2:],
        "webp": encoded(RED, "WEBP", exif=b"Exif\0\0" + crowded_tags(400_000)),
        "png": png(8, 6, chunk(b"eXIf", tags), rows=(b"\0" + bytes((200, 30, 40)) * 8) * 6),
    }
    paths = []
    for name, data in files.items():
        assert looks_red(data), name
        path = tmp_path / name
        path.write_bytes(data)
        paths.append(path)
    done = subprocess.run([sys.executable, "-c", script, *map(str, paths)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 60


def test_decoders_in_python_have_a_lower_pixel_limit():
    assert load_image(b"P6\n2 1\n10\n" + bytes((0, 5, 10) * 2), (1, 2)).tolist() == [[[0, 128, 255]] * 2]
    assert load_image(b"P3\n1 1\n255\n9 99 199\n", (1, 1)).tolist() == [[[9, 99, 199]]]
    with pytest.raises(ImageError, match="10 megapixels.*PPM"):
        load_image(b"P6\n4000 4000\n10\n" + bytes(48_000_000), SIZE)
    assert looks_red(b"P6\n4000 3000\n255\n" + bytes((200, 30, 40)) * 12_000_000)


def test_the_limit_applies_to_the_image_inside_an_icon():
    with pytest.raises(ImageError, match="11000 × 11000.*limit"):
        load_image(icon(png(11_000, 11_000)), SIZE)
    assert looks_red(icon(encoded(RED), 40, 30))
    assert looks_red(encoded(RED.resize((32, 32)), "ICO", sizes=[(32, 32)], bitmap_format="bmp"))
    with pytest.raises(ImageError, match="invalid size"):
        load_image(icon(icon(encoded(RED))), SIZE)


# --- orientation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_orientation_is_applied_in_every_format_that_has_it(kind):
    """HEIF has its own rotation, which its decoder applies; its standard says to ignore EXIF orientation."""
    Image.init()
    if kind not in Image.SAVE:
        pytest.skip(f"this Pillow writes no {kind}")
    halves = np.zeros((30, 40, 3), np.uint8)
    halves[:15] = 255  # bright above; a camera on its side: bright at the right
    data = encoded(Image.fromarray(halves), kind, exif=EXIF_TURNED)
    seen = load_image(data, (8, 8)).astype(int)
    assert seen[:, -1].min() > 200 and seen[:, 0].max() < 60
    assert thumbnail(data, 40).size == (30, 40)


def test_damaged_or_giant_exif_has_no_orientation():
    image = Image.new("RGB", (2, 2))
    for exif in (b"", b"garbage", b"Exif\0\0MM\0*\xff\xff\xff\xff", crowded_tags(), bytes(2 << 20)):
        image.info["exif"] = exif
        assert orientation(image) == 1
    image.info["exif"] = tiff([(0x0112, 3, 1, 8)])
    image._exif = None
    assert orientation(image) == 8


def test_a_rotated_size_does_not_bypass_the_limit():
    for data in (
        b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, 20_000, -20_000, 1, 24, *[0] * 6),
        b"P6\n20000 20000\n255\n",
        tiff(
            [(256, 3, 1, 20_000), (257, 3, 1, 20_000), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 3, 1, 8)]
        ),
        png(20_000, 20_000),
        scan_bomb(20_000, 1),
    ):
        with pytest.raises(ImageError, match="20000 × 20000.*100 megapixels"):
            load_image(data, SIZE)
