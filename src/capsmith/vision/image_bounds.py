"""What an image would cost to open, told from its bytes before any decoder sees them.

Each check walks over a file's own structure in bounded time, and raises ``ValueError`` with a reason where decoding
would take time or memory out of all proportion. Pillow's newer versions have some of these guards too; capsmith runs
on older ones as well.
"""

import re
import struct
from collections.abc import Callable, Iterator

MAX_EXIF = 1 << 20
"""Bytes of EXIF that are looked at. The standard allows 64 kB."""

_MAX_SEGMENTS = 5_000  # of a JPEG, before its first scan
_MAX_JUNK = 1 << 20  # bytes between them
_MAX_CHUNKS = 200_000  # of a PNG; most writers put 8 kB or more into one
_MAX_TEXT = 1 << 16  # bytes of one text of a PNG that is kept
_MAX_GIF_START = 1 << 20  # bytes of comments and the like before a GIF's first frame
_MAX_STRIPS = 500_000  # strips or tiles of a TIFF: 100 megapixels in tiles of 16 × 16
_TIFF_COMPRESSIONS = frozenset((1, 2, 3, 4, 5, 7, 8, 32773, 32946, 50000))
_TIFF_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_GIF_BLOCK = re.compile(rb"[!,;]")
_TIFF_WHOLE = (1, 3, 4, 16)  # types of whole numbers without a sign
_TIFF_LAYOUT = (256, 257, 259, 278, 322, 323)  # tags of one number each that say how pixels are stored
_JPEG_IN_TIFF = 7
_SOS, _EOI = 0xDA, 0xD9  # markers of a JPEG
_FRAMES, _PROGRESSIVE = (0xC0, 0xC1, 0xC2, 0xC3), 0xC2
_ARITHMETIC = (0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
_MARKER = re.compile(rb"\xff+([^\xff])", re.DOTALL)
_SCAN_ENDS = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]", re.DOTALL)


def jpeg(data: bytes) -> bytes:
    """Returns a JPEG whose tables of EXIF and of further images are hidden where they are out of all proportion."""
    exif, places = b"", []
    junk, before = 0, 2
    for count, (marker, start, end) in enumerate(jpeg_segments(data)):
        junk += start - before
        if count > _MAX_SEGMENTS or junk > _MAX_JUNK:
            break
        if marker in _ARITHMETIC:
            raise ValueError("it is coded arithmetically, which hardly any program reads")
        if marker == 0xE1 and data.startswith(b"Exif\0\0", start):
            places.append(start)
            exif += data[start + 6 : end] if len(exif) <= MAX_EXIF else b""
        elif marker == 0xE2 and data.startswith(b"MPF\0", start) and not tags_fit(data[start + 4 : end]):
            data = _hidden(data, [start])
        before = end
        if marker == _SOS:
            return data if len(exif) <= MAX_EXIF and tags_fit(exif) else _hidden(data, places)
    if len(data) < _MAX_JUNK:
        return data  # whoever decodes it will say what is missing
    raise ValueError("it has no image data where they should be")


def jpeg_segments(data: bytes, place: int = 2) -> Iterator[tuple[int, int, int]]:
    """Yields the segments of a JPEG up to its next scan: marker, and where the content starts and ends."""
    while (found := _MARKER.search(data, place)) is not None:
        marker, start = data[found.end() - 1], found.end()
        if marker > 1 and not 0xD0 <= marker <= 0xD9:
            length = max(2, int.from_bytes(data[start : start + 2], "big"))
            start, place = start + 2, start + length
        else:  # a marker without content
            place = start
        yield marker, start, place
        if marker == _SOS:
            return


def has_several_scans(data: bytes) -> bool:
    """Returns whether decoders read more than one scan of a JPEG: if it is progressive, or its colours lie apart."""
    colours, progressive = 0, False
    for marker, start, _ in jpeg_segments(data):
        if marker in _FRAMES:
            colours, progressive = data[start + 5], marker == _PROGRESSIVE
        elif marker == _SOS:
            return progressive or data[start] < colours
    return False


def jpeg_scans(data: bytes) -> Iterator[int]:
    """Yields where the coded data of each scan of a JPEG begin, up to the end of its first image.

    Decoders see no others: within a scan, each 0xFF is followed by 0 or by a restart marker.
    """
    place = 2
    while True:
        for marker, _, end in jpeg_segments(data, place):
            if marker == _EOI:
                return
            if marker == _SOS:
                yield end
                ended = _SCAN_ENDS.search(data, end)
                if ended is None:
                    return
                place = ended.start()
                break
        else:
            return


def png(data: bytes) -> bytes:
    """Returns a PNG without colour profile and without long texts, which would be unpacked and are not needed."""
    kept, place, first = [], 8, 0
    for _ in range(_MAX_CHUNKS):
        if place + 12 > len(data):
            break
        size, kind = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        after = place + 12 + size
        if kind == b"iCCP" or (kind in (b"tEXt", b"zTXt", b"iTXt", b"eXIf") and size > _MAX_TEXT):
            kept.append(data[first:place])
            first = after
        if kind == b"IEND" or after > len(data):
            break
        place = after
    else:
        raise ValueError(f"it has more than {_MAX_CHUNKS:,} chunks")
    return b"".join([*kept, data[first:]]) if kept else data


def gif(data: bytes) -> bytes:
    """Returns a GIF; refuses one with more than a megabyte before its first frame."""
    place = start = 13 + (3 << (data[10] & 7) + 1 if len(data) > 10 and data[10] & 128 else 0)
    while (found := _GIF_BLOCK.search(data, place)) is not None and place - start <= _MAX_GIF_START:
        place = found.end()
        if found[0] != b"!":
            break
        place += 1
        while place < len(data) and data[place]:  # parts of up to 255 bytes
            place += 1 + data[place]
        place += 1
    if (place if found is not None else len(data)) - start > _MAX_GIF_START:
        raise ValueError("it has more than a megabyte of comments before its first frame")
    return data


def tiff(data: bytes) -> bytes:
    """Returns a TIFF; refuses one whose tables, tiles or embedded JPEGs cost more than its pixels."""
    tags = _tiff_layout(data)
    width, height, compression = tags.get(256, 0), tags.get(257, 0), tags.get(259, 1)
    if compression not in _TIFF_COMPRESSIONS:
        raise ValueError(f"its compression ({compression}) is not read; save it with LZW or Deflate")
    across, down = tags.get(322) or width, tags.get(323) or height
    pixels, padded = width * height, -(-width // (across or 1)) * across * -(-height // (down or 1)) * down
    if padded > 2 * pixels + (1 << 22):
        raise ValueError(f"its tiles of {across} × {down} are far larger than the image")
    if compression == _JPEG_IN_TIFF:
        part = across * (down if 322 in tags else min(tags.get(278) or height, height))
        if data.count(b"\xff\xda") * part > 10 * pixels + (1 << 22):
            raise ValueError("the JPEGs in it have too many scans")
    return data


def _tiff_layout(data: bytes) -> dict[int, int]:
    """Returns the tags that say how the pixels of a TIFF's first image are stored."""
    if not tags_fit(data):
        raise ValueError("its tags name more bytes than the file has")
    found: dict[int, int] = {}
    for tag, kind, count, value in _tags(data):
        if tag in (273, 324) and count > _MAX_STRIPS:
            raise ValueError(f"it has {count:,} strips or tiles")
        if tag in _TIFF_LAYOUT:
            if tag in found or kind not in _TIFF_WHOLE or count != 1:
                raise ValueError(f"its tag {tag} is not one whole number")  # or is there twice
            found[tag] = value
    return found


def webp_size(data: bytes) -> tuple[int, int]:
    """Returns width and height of a WebP, which its decoder makes room for when it is opened; 0 × 0 if damaged."""
    kind = data[12:16]
    if kind == b"VP8X" and len(data) >= 30:
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8 " and len(data) >= 30:
        return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF
    if kind == b"VP8L" and len(data) >= 25:
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return 0, 0


def icon(data: bytes) -> bytes:
    """Returns the largest image of an icon file: a whole PNG, or the icon with that image alone.

    Raises:
        ValueError: The directory is damaged, or the bitmap is larger than an icon can be.
    """
    count = int.from_bytes(data[4:6], "little")
    entries = [data[6 + 16 * n : 22 + 16 * n] for n in range(min(count, len(data) // 16))]
    if not entries or len(entries[-1]) < 16:
        raise ValueError("its directory is damaged")
    best = max(entries, key=lambda e: ((e[0] or 256) * (e[1] or 256), e[6]))
    size, offset = struct.unpack_from("<II", best, 8)
    image = data[offset : offset + size]
    if image.startswith(b"\x89PNG\r\n\x1a\n"):
        return image
    width, height = struct.unpack_from("<ii", image, 4) if len(image) >= 12 else (0, 0)
    if not (0 < width <= 256 and 0 < abs(height) <= 512):
        raise ValueError("its bitmap has no size that an icon can have")
    return b"\0\0\1\0\1\0" + best[:12] + struct.pack("<I", 22) + image


def tags_fit(block: bytes) -> bool:
    """Returns whether the first directory of a TIFF, or of an EXIF block, names at most twice the bytes there are.

    Readers copy what each tag names, so that thousands of tags that name the same bytes take thousands of copies.
    """
    room = 2 * len(block) + 65_536
    for _, kind, count, _ in _tags(block):
        size = count * _TIFF_SIZES.get(kind, 0)
        room -= min(size, len(block)) if size > 4 else 0
        if room < 0:
            return False
    return True


def _tags(block: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yields tag, type, count and value or offset of a TIFF's first directory; nothing of a damaged one."""
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None or len(block) < 16:
        return
    big = block[2:4] in (b"+\0", b"\0+")
    field = 8 if big else 4
    head, entry = (order + "Q", order + "HHQQ") if big else (order + "H", order + "HHII")
    (start,) = struct.unpack_from(order + ("Q" if big else "I"), block, field)
    place, step = start + struct.calcsize(head), struct.calcsize(entry)
    if place > len(block):
        return
    (count,) = struct.unpack_from(head, block, start)
    for at in range(place, min(place + count * step, len(block) - step + 1), step):
        tag, kind, number, value = struct.unpack_from(entry, block, at)
        if number == 1 and kind in _TIFF_WHOLE:  # a short value fills the front of its field
            spare = 8 * max(0, field - _TIFF_SIZES[kind])
            value = value >> spare if order == ">" else value & (1 << 8 * field - spare) - 1
        yield tag, kind, number, value


def _hidden(data: bytes, places: list[int]) -> bytes:
    """Returns a JPEG in which the segments that start at these places have a name that nobody reads."""
    changed = bytearray(data)
    for place in places:
        changed[place : place + 3] = b"---"
    return bytes(changed)


BOUNDS: dict[str, Callable[[bytes], bytes]] = {"JPEG": jpeg, "PNG": png, "GIF": gif, "TIFF": tiff}
"""For each format with more to check than its size: returns what may be opened, or raises ValueError."""
