"""Image files built byte by byte, in forms that no ordinary program writes."""

import io
import struct
import zlib

from PIL import Image


def encoded(image=None, kind="PNG", **options):
    """Returns the file content of an image; by default a small red one."""
    file = io.BytesIO()
    (image or Image.new("RGB", (16, 12), (200, 30, 40))).save(file, kind, **options)
    return file.getvalue()


def segment(marker, content):
    """Returns a JPEG segment."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content


def scan_bomb(side, scans, height=None, sof=0xC2, data=b"", colours=1):
    """Returns a JPEG of side × side pixels with empty scans; a decoder visits all blocks for each scan."""
    table = bytes(1) + bytes([1] + [0] * 15) + b"\0"
    head = b"\xff\xd8" + segment(0xDB, b"\0" + b"\1" * 64)
    parts = b"".join(bytes((number, 0x11, 0)) for number in range(1, colours + 1))
    head += segment(sof, struct.pack(">BHHB", 8, height or side, side, colours) + parts)
    head += segment(0xC4, table) + segment(0xC4, b"\x10" + table[1:])
    if sof != 0xC2:
        return head + (segment(0xDA, b"\1\1\0\0\x3f\0") + data) * scans + b"\xff\xd9"
    first = segment(0xDA, b"\1\1\0\0\0\0") + data
    return head + first + (segment(0xDA, b"\1\1\0\1\x3f\0") + data) * (scans - 1) + b"\xff\xd9"


def chunk(kind, data):
    """Returns a PNG chunk."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, *chunks, rows=b"", colour=2, bits=8):
    """Returns a PNG with this header, further chunks, and rows, which are compressed here."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    body = b"".join(chunks) + chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


def tiff(tags, data=b"", order="<", head=8):
    """Returns a TIFF with one directory of (tag, type, count, value) entries, followed by data."""
    body = struct.pack(order + "H", len(tags))
    for tag, kind, count, value in tags:
        if order == ">" and kind == 3 and count == 1:
            value <<= 16
        body += struct.pack(order + "HHII", tag, kind, count, value)
    return (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", head) + body + bytes(4) + data


def tiff_tags(width, height, compression=1, **more):
    """Returns the tags of a grey TIFF whose single strip follows the directory."""
    count = 9 + len(more)
    tags = {256: width, 257: height, 258: 8, 259: compression, 262: 1, 273: 14 + 12 * count, 277: 1, 278: height}
    tags |= {279: width * height} | {int(name[1:]): value for name, value in more.items()}
    return [(tag, 4 if value > 65_535 else 3, 1, value) for tag, value in sorted(tags.items())]


def crowded_tags(size=60_000):
    """Returns EXIF whose tags all refer to the same bytes: copying them for each tag takes hundreds of megabytes."""
    count = size // 24
    tags = [(30_000 + n, 7, size // 2, 8 + 2 + 12 * count + 4) for n in range(count)]
    return tiff(tags, bytes(size // 2))


def iptc(content):
    """Returns content in an IPTC wrapper, in which Pillow opens any format."""

    def field(record, tag, value):
        return b"\x1c" + bytes((record, tag)) + struct.pack(">H", len(value)) + value

    side = struct.pack(">H", 64)
    head = field(3, 60, b"\1\0") + field(3, 20, side) + field(3, 30, side) + field(3, 120, b"\0\5")
    return head + b"\x1c\x08\x0a\x84\0" + struct.pack(">I", len(content)) + content


def icns(content):
    """Returns a macOS icon file that contains a PNG or JPEG 2000."""
    part = b"ic10" + struct.pack(">I", len(content) + 8) + content
    return b"icns" + struct.pack(">I", len(part) + 8) + part


def box(kind, content=b""):
    """Returns a box of an ISO base media file: HEIC, AVIF, MP4, JPEG 2000."""
    return struct.pack(">I", len(content) + 8) + kind + content


def icon(image, width=16, height=16, count=1):
    """Returns an icon file with one entry of any content."""
    entry = struct.pack("<BBBBHHII", width, height, 0, 0, 1, 32, len(image), 6 + 16 * count)
    return struct.pack("<HHH", 0, 1, count) + entry * count + image
