"""Images: bombs, lies, polyglots and formats that run programs elsewhere."""

import functools
import gzip
import io
import json
import random
import struct
import zipfile
import zlib

from PIL import Image

from tests.attacks import Breach, Played, attack
from tests.attacks.server import Server
from tests.mistakes.broken_images import bomb
from tests.support import image_bytes
from tests.support.image_bytes import chunk, encoded, png

READ_OR_NOT = (200, 422)


@functools.cache
def zeros(count: int) -> bytes:
    """Returns ``count`` compressed zeros, without having them in memory."""
    packer = zlib.compressobj(1)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(count >> 20)) + packer.flush()


@attack("PNG of 20,000 × 20,000 pixels in 50 kB", 422)
def _(server: Server) -> Played:
    return server.upload(bomb())


@attack("PNG of 10,000 × 10,000 pixels", 422)
def _(server: Server) -> Played:
    return server.upload(bomb(10_000))


@attack("PNG whose header claims 2,147,483,647 pixels a side", 422)
def _(server: Server) -> Played:
    return server.upload(png(2**31 - 1, 2**31 - 1))


@attack("PNG of 10 × 10 pixels whose rows unpack to 500 MB", *READ_OR_NOT)
def _(server: Server) -> Played:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 10, 10, 8, 2, 0, 0, 0))
    return server.upload(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zeros(500 << 20)) + chunk(b"IEND", b""))


@attack("PNG with a text that unpacks to 500 MB", *READ_OR_NOT)
def _(server: Server) -> Played:
    return server.upload(png(10, 10, chunk(b"zTXt", b"a\0\0" + zeros(500 << 20)), rows=bytes(310)))


@attack("PNG with a colour profile that unpacks to 500 MB", *READ_OR_NOT)
def _(server: Server) -> Played:
    return server.upload(png(10, 10, chunk(b"iCCP", b"a\0\0" + zeros(500 << 20)), rows=bytes(310)))


@attack("PNG of 300,000 chunks", *READ_OR_NOT)
def _(server: Server) -> Played:
    return server.upload(png(10, 10, *[chunk(b"tEXt", b"a\0b")] * 300_000, rows=bytes(310)))


@attack("animated PNG of 5,000 frames", *READ_OR_NOT)
def _(server: Server) -> Played:
    frame = struct.pack(">IIIIIHHBB", 0, 10, 10, 0, 0, 1, 100, 0, 0)
    more = [chunk(b"acTL", struct.pack(">II", 5000, 0)), *[chunk(b"fcTL", frame)] * 5000]
    return server.upload(png(10, 10, *more, rows=bytes(310)))


@attack("GIF of 65,535 × 65,535 pixels", 422)
def _(server: Server) -> Played:
    screen = b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + b"\0\0\0"
    return server.upload(screen + b"," + struct.pack("<HHHHB", 0, 0, 65_535, 65_535, 0) + b"\2\2\x4c\1\0;")


@attack("GIF of 20,000 frames", *READ_OR_NOT)
def _(server: Server) -> Played:
    screen = b"GIF89a" + struct.pack("<HH", 500, 500) + b"\x80\0\0" + b"\0\0\0\xff\xff\xff"
    return server.upload(screen + (b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\2\2\x4c\1\0") * 20_000 + b";")


@attack("GIF of 5 MB of comments", 422)
def _(server: Server) -> Played:
    screen = b"GIF89a" + struct.pack("<HH", 9, 9) + b"\0\0\0"
    return server.upload(screen + b"!\xfe" + (b"\xff" + b"c" * 255) * 20_000 + b"\0;")


@attack("TIFF of 60,000 × 60,000 pixels", 422)
def _(server: Server) -> Played:
    tags = image_bytes.tiff_tags(60_000, 60_000, 8)
    return server.upload(image_bytes.tiff(tags, b"x" * 100))


@attack("TIFF of 16 × 16 pixels whose strip unpacks to 500 MB", *READ_OR_NOT)
def _(server: Server) -> Played:
    data = zeros(500 << 20)
    tags = [(tag, 4, 1, len(data) if tag == 279 else value) for tag, _, _, value in image_bytes.tiff_tags(16, 16, 8)]
    return server.upload(image_bytes.tiff(tags, data))


@attack("TIFF whose directory points to itself", *READ_OR_NOT)
def _(server: Server) -> Played:
    file = bytearray(image_bytes.tiff(image_bytes.tiff_tags(16, 16), bytes(256)))
    end = 10 + 12 * struct.unpack_from("<H", file, 8)[0]
    struct.pack_into("<I", file, end, 8)
    return server.upload(bytes(file))


@attack("TIFF whose tags claim 4 GB", *READ_OR_NOT)
def _(server: Server) -> Played:
    tags = [*image_bytes.tiff_tags(16, 16), (700, 1, 2**32 - 1, 8)]
    return server.upload(image_bytes.tiff(tags, bytes(256)))


@attack("WebP of 16,383 × 16,383 pixels", 422)
def _(server: Server) -> Played:
    bits = 16_382 | 16_382 << 14
    body = b"WEBPVP8L" + struct.pack("<I", 20) + b"\x2f" + struct.pack("<I", bits) + bytes(15)
    return server.upload(b"RIFF" + struct.pack("<I", len(body)) + body)


@attack("progressive JPEG of 8,000 × 4,000 pixels and 3,000 empty scans", 422)
def _(server: Server) -> Played:
    return server.upload(image_bytes.scan_bomb(4000, 3000, height=8000))


@attack("progressive JPEG of 500 × 500 pixels and 100,000 empty scans", 422)
def _(server: Server) -> Played:
    return server.upload(image_bytes.scan_bomb(500, 100_000))


@attack("JPEG that claims 65,535 × 65,535 pixels", 422)
def _(server: Server) -> Played:
    file = bytearray(encoded(kind="JPEG"))
    place = file.index(b"\xff\xc0")
    struct.pack_into(">HH", file, place + 5, 65_535, 65_535)
    return server.upload(bytes(file))


@attack("JPEG that claims 6,000 × 6,000 pixels and has 12 × 16", *READ_OR_NOT)
def _(server: Server) -> Played:
    file = bytearray(encoded(kind="JPEG"))
    struct.pack_into(">HH", file, file.index(b"\xff\xc0") + 5, 6000, 6000)
    return server.upload(bytes(file))


@attack("JPEG with arithmetic coding", 422)
def _(server: Server) -> Played:
    file = bytearray(encoded(kind="JPEG"))
    file[file.index(b"\xff\xc0") + 1] = 0xC9
    return server.upload(bytes(file))


@attack("JPEG with 10 MB of segments", *READ_OR_NOT)
def _(server: Server) -> Played:
    file = encoded(kind="JPEG")
    return server.upload(file[:2] + image_bytes.segment(0xE2, bytes(60_000)) * 150 + file[2:])


@attack("JPEG with EXIF whose tags all copy the same bytes", *READ_OR_NOT)
def _(server: Server) -> Played:
    file = encoded(kind="JPEG")
    exif = b"Exif\0\0" + image_bytes.crowded_tags()
    return server.upload(file[:2] + image_bytes.segment(0xE1, exif) + file[2:])


@attack("truncated JPEG", 422)
def _(server: Server) -> Played:
    return server.upload(server.photo[: len(server.photo) // 2])


@attack("run-length BMP of 6,000 × 6,000 pixels", 422)
def _(server: Server) -> Played:
    header = struct.pack("<IiiHHIIiiII", 40, 6000, 6000, 1, 8, 1, 0, 0, 0, 256, 0)
    rows = b"\xff\1" * 200_000 + b"\0\1"
    return server.upload(b"BM" + struct.pack("<IHHI", 1078 + len(rows), 0, 0, 1078) + header + bytes(1024) + rows)


@attack("BMP of negative size", *READ_OR_NOT)
def _(server: Server) -> Played:
    header = struct.pack("<IiiHHIIiiII", 40, -99_999, -99_999, 1, 24, 0, 0, 0, 0, 0, 0)
    return server.upload(b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header)


@attack("icon that contains a bomb", 422)
def _(server: Server) -> Played:
    return server.upload(image_bytes.icon(bomb()))


@attack("icon of 65,535 entries", *READ_OR_NOT)
def _(server: Server) -> Played:
    return server.upload(image_bytes.icon(encoded(), count=65_535))


@attack("PPM that claims 99,999 × 99,999 pixels", 422)
def _(server: Server) -> Played:
    return server.upload(b"P6 99999 99999 255\n" + b"x" * 1000)


@attack("PPM with a comment of 5 MB", 422)
def _(server: Server) -> Played:
    return server.upload(b"P6\n#" + b"c" * 5_000_000 + b"\n2 2 255\n" + bytes(12))


@attack("PPM in text of 3,000 × 3,000 pixels", *READ_OR_NOT, slow=True)
def _(server: Server) -> Played:
    return server.upload(b"P1 3000 3000\n" + b"0 " * 4_500_000)


@attack("image without pixels", 422)
def _(server: Server) -> Played:
    return [answer for answer in (server.upload(png(0, 10)), server.upload(b"P6 0 0 255\n")) if answer]


@attack("empty file", 422)
def _(server: Server) -> Played:
    return server.upload(b"")


@attack("16 PNGs of 39 megapixels in one request", 200, 504, slow=True)
def _(server: Server) -> Played:
    return server.upload(*[bomb(6200)] * 16)


@attack("16 WebPs of 36 megapixels in one request", 200, 504, slow=True)
def _(server: Server) -> Played:
    return server.upload(*[encoded(Image.new("RGB", (6000, 6000), (9, 80, 7)), "WEBP", quality=1)] * 16)


@attack("JPEG that is HTML as well", 200)
def _(server: Server) -> Played:
    answer = server.upload(server.photo + b"<html><script>alert(1)</script>", name="page.html")
    if answer and answer.header("content-type") != "application/json":
        raise Breach(f"answered as {answer.header('content-type')}")
    return answer


@attack("GIF that is JavaScript as well", *READ_OR_NOT)
def _(server: Server) -> Played:
    return server.upload(b"GIF89a=1;/*" + bytes(200) + b"*/;alert(1)//", name="a.js")


@attack("PNG that is a ZIP as well", 200)
def _(server: Server) -> Played:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("../../evil.py", "print(1)")
    return server.upload(encoded() + file.getvalue())


@attack("formats that other programs run or unpack", 422)
def _(server: Server) -> Played:
    files = {
        "PDF": b"%PDF-1.7\n1 0 obj<</OpenAction<</S/JavaScript/JS(app.alert(1))>>>>endobj\n",
        "SVG": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><image href="file:///etc/passwd"/></svg>',
        "XML entities": b'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg>&x;</svg>',
        "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file showpage\n",
        "MVG": b"push graphic-context\nimage over 0,0 0,0 'https://127.0.0.1/x'\npop graphic-context\n",
        "ZIP": b"PK\3\4" + bytes(60),
        "gzip": gzip.compress(bytes(5_000_000)),
        "pickle": b"\x80\4\x95" + b"cos\nsystem\n(S'id'\ntR.",
        "ELF": b"\x7fELF" + bytes(60),
        "HTML": b"<!doctype html><script>alert(1)</script>",
        "IPTC around a bomb": image_bytes.iptc(bomb()),
        "ICNS around a bomb": image_bytes.icns(bomb()),
        "PSD": b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 30_000, 30_000, 8, 3) + bytes(60),
        "FLI": struct.pack("<IHHHHHH", 99, 0xAF12, 1, 999, 999, 8, 3) + bytes(120),
        "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(60),
    }
    return [answer for content in files.values() if (answer := server.upload(content)) is not None]


@attack("600 damaged images of every format", *READ_OR_NOT, slow=True)
def _(server: Server) -> Played:
    chance = random.Random(20)
    picture = Image.effect_noise((64, 48), 90).convert("RGB")
    kinds = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "ICO")
    files = [encoded(picture, kind) for kind in kinds] + [encoded(picture, "JPEG", progressive=True)]
    answers = []
    for number in range(600):
        data = bytearray(files[number % len(files)])
        for _ in range(chance.randrange(1, 12)):
            data[chance.randrange(min(len(data), 600))] = chance.randrange(256)
        if number % 3 == 0:
            del data[chance.randrange(len(data)) :]
        answers.append(server.upload(bytes(data)))
    return [answer for answer in answers if answer is not None]


@attack("one bad image among good ones", 422)
def _(server: Server) -> Played:
    answer = server.upload(server.photo, b"junk", server.photo)
    if answer and [error.get("index") for error in json.loads(answer.body)["errors"]] != [1]:
        raise Breach("the wrong image is named")
    return answer
