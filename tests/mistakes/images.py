"""Files that are not images, and images that would cost too much: wrappers, bombs, pipes and devices."""

import contextlib
import os
import socket
import struct
import sys
from pathlib import Path
from unittest import mock

from PIL import Image

from tests.mistakes import Workshop, mistake
from tests.mistakes.broken_images import bomb
from tests.support import image_bytes
from tests.support.image_bytes import box, chunk, encoded, png, scan_bomb, segment, tiff, tiff_tags

UNKNOWN = "not an image in a known format"


def _caption(shop: Workshop, name: str, content: bytes) -> list[str]:
    return ["caption", str(shop.toy.run), str(shop.write(name, content))]


def postscript(shop: Workshop) -> bytes:
    """Returns a PostScript program that creates the sentinel if Ghostscript runs it."""
    program = f"({shop.sentinel}) (w) file closefile showpage\n"
    return f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n{program}".encode()


# --- wrappers, and formats that are not read --------------------------------------------------------------------------


@mistake("PostScript in an IPTC wrapper named .jpg", "news.jpg", UNKNOWN)
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "news.jpg", image_bytes.iptc(postscript(shop)))


@mistake("an image of 400 megapixels in an IPTC wrapper", "news.jpg", UNKNOWN)
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "news.jpg", image_bytes.iptc(bomb()))


@mistake("PostScript with a preview for DOS", "drawing.png", "PostScript")
def _(shop: Workshop) -> list[str]:
    head = b"\xc5\xd0\xd3\xc6" + struct.pack("<II", 32, 200) + bytes(20)
    return _caption(shop, "drawing.png", head + postscript(shop))


@mistake("a PDF named .png", "page.png", "PDF")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "page.png", b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\n%%EOF")


@mistake("a Windows metafile named .jpg", "chart.jpg", UNKNOWN)
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "chart.jpg", b"\xd7\xcd\xc6\x9a\0\0" + struct.pack("<4hH", 0, 0, 99, 99, 96) + bytes(400))


@mistake("an icon file of a Mac around a bomb", "app.png", UNKNOWN)
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "app.png", image_bytes.icns(bomb()))


@mistake("an icon of 16 × 16 whose PNG is a bomb", "site.ico", "20000", "limit")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "site.ico", image_bytes.icon(bomb()))


@mistake("an icon of 16 × 16 whose bitmap is a bomb", "site.ico")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "site.ico", image_bytes.icon(struct.pack("<IiiHH", 40, 30_000, 60_000, 1, 32) + bytes(64)))


@mistake("an icon of 65,535 images that are not there", "site.ico")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "site.ico", b"\0\0\1\0\xff\xff" + bytes(20))


@mistake("a mouse cursor", "arrow.png", UNKNOWN)
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "arrow.png", b"\0\0\2\0" + image_bytes.icon(encoded())[4:])


@mistake("a Photoshop document named .jpg", "layers.jpg", "Photoshop")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "layers.jpg", b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 30_000, 30_000, 8, 3))


@mistake("a JPEG 2000 file", "scan.jp2", "2000")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "scan.jp2", box(b"jP  ", b"\r\n\x87\n") + box(b"ftyp", b"jp2 \0\0\0\0jp2 "))


@mistake("the bare stream of JPEG 2000", "scan.jpg", "2000")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "scan.jpg", b"\xff\x4f\xff\x51" + bytes(60))


@mistake("JPEG XL", "new.jpg")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "new.jpg", b"\xff\x0a" + bytes(60))


@mistake("a ZIP archive of images named .jpg", "all.jpg", "ZIP")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "all.jpg", b"PK\x03\x04" + bytes(60))


@mistake("a web page in the place of a download", "photo.jpg")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "photo.jpg", b"\n<!DOCTYPE html>\n<html><body>404</body></html>")


@mistake("a pointer of Git LFS", "photo.jpg")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "photo.jpg", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")


@mistake("a video named .jpg", "clip.jpg")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "clip.jpg", box(b"ftyp", b"isom\0\0\2\0isomiso2mp41") + bytes(99))


@mistake("a GIF that is a script as well", "both.gif", "both.gif")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "both.gif", b"GIF89a/*\0\0\0\0*/=1;" + f"open('{shop.sentinel}','w')".encode() + bytes(99))


@mistake(
    "HEIC without pillow-heif",
    "photo.heic",
    "'capsmith[heic]'",
    around=lambda shop: mock.patch.dict(sys.modules, {"pillow_heif": None}),
)
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "photo.heic", box(b"ftyp", b"heic\0\0\0\0mif1heic") + bytes(99))


@mistake("an AVIF of its first box alone", "photo.avif", "photo.avif")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "photo.avif", box(b"ftyp", b"avif\0\0\0\0avifmif1"))


# --- bombs ------------------------------------------------------------------------------------------------------------


@mistake("a progressive JPEG of 3,000 empty scans", "scans.jpg", "9984")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "scans.jpg", scan_bomb(9984, 3000))


@mistake("a JPEG of 3,000 scans whose colours lie apart", "scans.jpg")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "scans.jpg", scan_bomb(8000, 3000, sof=0xC0, colours=3))


@mistake("a JPEG whose scans are hidden behind filling bytes", "scans.jpg")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "scans.jpg", scan_bomb(9984, 3000).replace(b"\xff\xda", b"\0\xff\xff\xff\xda"))


@mistake("a JPEG in arithmetic coding", "rare.jpg")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "rare.jpg", scan_bomb(9984, 2, sof=0xCA))


@mistake("a JPEG of 200,000 comments", "talk.jpg")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "talk.jpg", b"\xff\xd8" + segment(0xFE, b"said") * 200_000 + encoded(kind="JPEG")[2:])


@mistake("a JPEG of two megabytes of nothing", "void.jpg")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "void.jpg", b"\xff\xd8\xff" + bytes(1 << 21) + encoded(kind="JPEG")[2:])


@mistake("a PNG of 250,000 empty chunks", "chunks.png", "chunks")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "chunks.png", png(8, 8, chunk(b"prIv", b"") * 250_000))


@mistake("a PNG of 100,000 × 2 pixels", "line.png", "65,535")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "line.png", png(100_000, 2, rows=bytes(2 * (1 + 3 * 100_000))))


@mistake("a PNG without width", "none.png", "none.png")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "none.png", png(0, 9))


@mistake("a GIF with two megabytes of comments before its frame", "talk.gif", "comments")
def _(shop: Workshop) -> list[str]:
    gif = encoded(kind="GIF")
    start = 13 + (3 << (gif[10] & 7) + 1 if gif[10] & 128 else 0)
    message = b"!\xfe" + (b"\xff" + b"x" * 255) * 8192 + b"\0"
    return _caption(shop, "talk.gif", gif[:start] + message + gif[start:])


@mistake("a GIF of 1 × 1 whose frame is a bomb", "frame.gif", "60000", "limit")
def _(shop: Workshop) -> list[str]:
    head = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0, 0, 0)
    return _caption(shop, "frame.gif", head + b"," + struct.pack("<4HB", 0, 0, 60_000, 60_000, 0) + b"\2\1\0\0;")


@mistake("a GIF without a frame", "none.gif", "none.gif")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "none.gif", b"GIF89a" + struct.pack("<HHBBB", 9, 9, 0, 0, 0) + b";")


@mistake("a TIFF of 8 × 8 in a tile of 40,000 × 40,000", "tile.tif")
def _(shop: Workshop) -> list[str]:
    tags = tiff_tags(8, 8, 8, _322=40_000, _323=40_000)
    return _caption(shop, "tile.tif", tiff(tags, bytes(64)))


@mistake("a TIFF whose tags all name the same bytes", "tags.tif")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "tags.tif", image_bytes.crowded_tags())


@mistake("a TIFF of a million strips", "strips.tif", "1,000,000")
def _(shop: Workshop) -> list[str]:
    tags = [tag if tag[0] != 273 else (273, 4, 1_000_000, 200) for tag in tiff_tags(8, 8)]
    return _caption(shop, "strips.tif", tiff(tags, bytes(4_000_100)))


@mistake("a TIFF compressed as hardly any program can read", "rare.tif", "34661")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "rare.tif", tiff(tiff_tags(8, 8, 34661), bytes(64)))


@mistake("a TIFF with two widths", "two.tif")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "two.tif", tiff([(256, 99, 1, 8), *tiff_tags(60_000, 60_000)], bytes(64)))


@mistake("a TIFF around a JPEG of 3,000 scans", "scans.tif")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "scans.tif", tiff(tiff_tags(9984, 9984, 7), scan_bomb(9984, 3000)))


@mistake("a TIFF damaged within its LZW code", "cut.tif", "damaged")
def _(shop: Workshop) -> list[str]:
    content = bytearray(encoded(Image.effect_noise((64, 64), 90), "TIFF", compression="tiff_lzw"))
    content[40:200] = b"\xff" * 160
    return _caption(shop, "cut.tif", bytes(content))


@mistake("a BigTIFF that promises 2^60 tags", "big.tif", "big.tif")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "big.tif", b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 1 << 60) + bytes(400))


@mistake("a BMP of 90 megapixels in run lengths", "runs.bmp")
def _(shop: Workshop) -> list[str]:
    head = struct.pack("<IiiHHIIiiII", 40, 9000, 9999, 1, 8, 1, 0, 0, 0, 256, 0)
    return _caption(shop, "runs.bmp", b"BM" + struct.pack("<IHHI", 0, 0, 0, 1078) + head + bytes(1024) + b"\0\1")


@mistake("a PPM of 90 megapixels with 11 levels", "odd.ppm")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "odd.ppm", b"P6\n9000 9999\n10\n" + bytes(99))


@mistake("a PPM in plain text of 90 megapixels", "plain.ppm")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "plain.ppm", b"P3\n9000 9999\n255\n" + b"1 " * 99)


@mistake("a WebP whose canvas is a bomb", "canvas.webp", "16777216", "limit")
def _(shop: Workshop) -> list[str]:
    content = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + b"\xff" * 6
    return _caption(shop, "canvas.webp", b"RIFF" + struct.pack("<I", len(content)) + content)


@mistake("a WebP of 90 megapixels, which is decoded in one call", "large.webp")
def _(shop: Workshop) -> list[str]:
    content = b"WEBPVP8L" + struct.pack("<I", 10) + b"\x2f" + struct.pack("<I", 8999 | 9998 << 14) + bytes(5)
    return _caption(shop, "large.webp", b"RIFF" + struct.pack("<I", len(content)) + content)


# --- special files ----------------------------------------------------------------------------------------------------


def fifo(path: Path) -> Path:
    """Creates a pipe without a writer."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)
    return path


@mistake("a pipe named .jpg that nobody writes to", "pipe.jpg")
def _(shop: Workshop) -> list[str]:
    return ["caption", str(shop.toy.run), str(fifo(shop / "pipe.jpg"))]


@contextlib.contextmanager
def _listening(shop: Workshop):
    with socket.socket(socket.AF_UNIX) as server, _inside(shop.folder):
        server.bind("socket.jpg")
        yield


@contextlib.contextmanager
def _inside(folder: Path):
    before = os.getcwd()
    os.chdir(folder)  # the path of a socket is limited to 108 bytes
    try:
        yield
    finally:
        os.chdir(before)


@mistake("a socket named .jpg", "socket.jpg", around=_listening)
def _(shop: Workshop) -> list[str]:
    return ["caption", str(shop.toy.run), str(shop / "socket.jpg")]


@mistake("a link named .jpg to a device", "zero.jpg")
def _(shop: Workshop) -> list[str]:
    (shop / "zero.jpg").symlink_to("/dev/zero")
    return ["caption", str(shop.toy.run), str(shop / "zero.jpg")]


@mistake("a link that leads back to itself", "a.jpg")
def _(shop: Workshop) -> list[str]:
    (shop / "a.jpg").symlink_to("b.jpg")
    (shop / "b.jpg").symlink_to("a.jpg")
    return ["caption", str(shop.toy.run), str(shop / "a.jpg")]


@mistake("images of a data set that are pipes", "images", "missing")
def _(shop: Workshop) -> list[str]:
    for path in sorted((shop.data() / "images").iterdir()):
        path.unlink()
        fifo(path)
    return ["extract", "--config", shop.config()]
