"""Bounds the cost of decoding an image from its bytes, before any decoder reads them.

Each check walks through the structure of a file in bounded time. It raises ``ValueError`` with the reason if decoding
would take disproportionate time or memory. Newer versions of Pillow have some of these checks; capsmith supports older
ones too.
"""

import re
import struct
from collections.abc import Callable, Iterator

MAX_EXIF = 1 << 20
"""Largest EXIF block in bytes that is read. The standard allows 64 kB."""

_MAX_SEGMENTS = 5_000  # of a JPEG before its first scan
_MAX_JUNK = 1 << 20  # bytes between these segments
_MAX_CHUNKS = 200_000  # of a PNG; most writers put at least 8 kB into a chunk
_MAX_TEXT = 1 << 16  # bytes of a PNG text chunk that is kept
_MAX_GIF_START = 1 << 20  # bytes of extensions before the first frame of a GIF
_MAX_PPM_HEADER = 1 << 16  # bytes of numbers and comments, which Pillow reads one by one
_MAX_STRIPS = 500_000  # strips or tiles of a TIFF: 100 megapixels in tiles of 16 × 16
_TIFF_COMPRESSIONS = frozenset((1, 2, 3, 4, 5, 7, 8, 32773, 32946, 50000))
_TIFF_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_GIF_BLOCK = re.compile(rb"[!,;]")
_TIFF_UNSIGNED = (1, 3, 4, 16)  # types of unsigned integers
_TIFF_LAYOUT = (256, 257, 259, 278, 322, 323)  # single-number tags that describe how pixels are stored
_JPEG_IN_TIFF = 7
_SOS, _EOI = 0xDA, 0xD9  # markers of a JPEG
_FRAMES, _PROGRESSIVE = (0xC0, 0xC1, 0xC2, 0xC3), 0xC2
_ARITHMETIC = (0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
_MARKER = re.compile(rb"\xff+([^\xff])", re.DOTALL)
_SCAN_ENDS = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]", re.DOTALL)


def jpeg(data: bytes) -> bytes:
    """Returns a JPEG in which disproportionately large EXIF blocks and tables of further images are hidden."""
    exif, exif_offsets = b"", []
    junk, previous_end = 0, 2
    for count, (marker, start, end) in enumerate(jpeg_segments(data)):
        junk += start - previous_end
        if count > _MAX_SEGMENTS or junk > _MAX_JUNK:
            break
        if marker in _ARITHMETIC:
            raise ValueError("it uses arithmetic coding, which hardly any program reads")
        if marker == 0xE1 and data.startswith(b"Exif\0\0", start):
            exif_offsets.append(start)
            exif += data[start + 6 : end] if len(exif) <= MAX_EXIF else b""
        elif marker == 0xE2 and data.startswith(b"MPF\0", start) and not tags_fit(data[start + 4 : end]):
            data = _hide_segments(data, [start])
        previous_end = end
        if marker == _SOS:
            return data if len(exif) <= MAX_EXIF and tags_fit(exif) else _hide_segments(data, exif_offsets)
    if len(data) < _MAX_JUNK:
        return data  # the decoder will report what is missing
    raise ValueError("it has no image data in the expected place")


def jpeg_segments(data: bytes, offset: int = 2) -> Iterator[tuple[int, int, int]]:
    """Yields the segments of a JPEG up to its next scan: marker, and start and end of the content."""
    while (match := _MARKER.search(data, offset)) is not None:
        marker, start = data[match.end() - 1], match.end()
        if marker > 1 and not 0xD0 <= marker <= 0xD9:
            length = max(2, int.from_bytes(data[start : start + 2], "big"))
            start, offset = start + 2, start + length
        else:  # a marker without content
            offset = start
        yield marker, start, offset
        if marker == _SOS:
            return


def has_several_scans(data: bytes) -> bool:
    """Returns whether a JPEG has several scans: if it is progressive, or stores its components separately."""
    components, progressive = 0, False
    for marker, start, _ in jpeg_segments(data):
        if marker in _FRAMES:
            components, progressive = data[start + 5], marker == _PROGRESSIVE
        elif marker == _SOS:
            return progressive or data[start] < components
    return False


def jpeg_scans(data: bytes) -> Iterator[int]:
    """Yields the offset of the coded data of each scan of a JPEG, up to the end of its first image.

    Decoders see exactly these scans: within a scan, each 0xFF is followed by 0 or by a restart marker.
    """
    offset = 2
    while True:
        for marker, _, end in jpeg_segments(data, offset):
            if marker == _EOI:
                return
            if marker == _SOS:
                yield end
                next_marker = _SCAN_ENDS.search(data, end)
                if next_marker is None:
                    return
                offset = next_marker.start()
                break
        else:
            return


def png(data: bytes) -> bytes:
    """Returns a PNG without its colour profile and long texts, which would be decompressed and are not needed."""
    parts, offset, first = [], 8, 0
    for _ in range(_MAX_CHUNKS):
        if offset + 12 > len(data):
            break
        size, kind = int.from_bytes(data[offset : offset + 4], "big"), data[offset + 4 : offset + 8]
        after = offset + 12 + size
        if kind == b"iCCP" or (kind in (b"tEXt", b"zTXt", b"iTXt", b"eXIf") and size > _MAX_TEXT):
            parts.append(data[first:offset])
            first = after
        if kind == b"IEND" or after > len(data):
            break
        offset = after
    else:
        raise ValueError(f"it has more than {_MAX_CHUNKS:,} chunks")
    return b"".join([*parts, data[first:]]) if parts else data


def gif(data: bytes) -> bytes:
    """Returns a GIF; refuses one with more than a megabyte before its first frame."""
    offset = start = 13 + (3 << (data[10] & 7) + 1 if len(data) > 10 and data[10] & 128 else 0)
    while (match := _GIF_BLOCK.search(data, offset)) is not None and offset - start <= _MAX_GIF_START:
        offset = match.end()
        if match[0] != b"!":
            break
        offset += 1
        while offset < len(data) and data[offset]:  # sub-blocks of up to 255 bytes
            offset += 1 + data[offset]
        offset += 1
    if (offset if match is not None else len(data)) - start > _MAX_GIF_START:
        raise ValueError("it has more than a megabyte of comments before its first frame")
    return data


def ppm(data: bytes) -> bytes:
    """Returns a PPM; refuses one with long comments in its header."""
    header = data[2:_MAX_PPM_HEADER]
    numbers = re.sub(rb"#[^\r\n]*", b" ", header).split()
    if len(data) > _MAX_PPM_HEADER and len(numbers) < (2 if data[1:2] in b"14" else 3):
        raise ValueError(f"its header has more than {_MAX_PPM_HEADER:,} bytes of comments")
    return data


def tiff(data: bytes) -> bytes:
    """Returns a TIFF; refuses one whose tables, tiles or embedded JPEGs cost far more than its pixels."""
    tags = _tiff_layout(data)
    width, height, compression = tags.get(256, 0), tags.get(257, 0), tags.get(259, 1)
    if compression not in _TIFF_COMPRESSIONS:
        raise ValueError(f"its compression ({compression}) is not supported; save it with LZW or Deflate")
    across, down = tags.get(322) or width, tags.get(323) or height
    pixels, padded = width * height, -(-width // (across or 1)) * across * -(-height // (down or 1)) * down
    if padded > 2 * pixels + (1 << 22):
        raise ValueError(f"its tiles of {across} × {down} are far larger than the image")
    if compression == _JPEG_IN_TIFF:
        part_pixels = across * (down if 322 in tags else min(tags.get(278) or height, height))
        if data.count(b"\xff\xda") * part_pixels > 10 * pixels + (1 << 22):
            raise ValueError("its embedded JPEGs have too many scans")
    return data


def _tiff_layout(data: bytes) -> dict[int, int]:
    """Returns the tags that describe how the pixels of the first image of a TIFF are stored."""
    if not tags_fit(data):
        raise ValueError("its tags refer to more bytes than the file has")
    layout: dict[int, int] = {}
    for tag, kind, count, value in _tags(data):
        if tag in (273, 324) and count > _MAX_STRIPS:
            raise ValueError(f"it has {count:,} strips or tiles")
        if tag in _TIFF_LAYOUT:
            if tag in layout or kind not in _TIFF_UNSIGNED or count != 1:
                raise ValueError(f"its tag {tag} is not a single integer")  # or is a duplicate
            layout[tag] = value
    return layout


def webp_size(data: bytes) -> tuple[int, int]:
    """Returns width and height of a WebP, for which its decoder allocates memory on opening; 0 × 0 if damaged."""
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
    """Returns the largest image of an icon file: a complete PNG, or an icon file with only this image.

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
        raise ValueError("its bitmap has an invalid size")
    return b"\0\0\1\0\1\0" + best[:12] + struct.pack("<I", 22) + image


def tags_fit(block: bytes) -> bool:
    """Returns whether the tags in the first directory of a TIFF or EXIF block refer to at most twice its bytes.

    Readers copy the bytes of each tag, so thousands of tags that refer to the same bytes cause thousands of copies.
    """
    room = 2 * len(block) + 65_536
    for _, kind, count, _ in _tags(block):
        size = count * _TIFF_SIZES.get(kind, 0)
        room -= min(size, len(block)) if size > 4 else 0
        if room < 0:
            return False
    return True


def _tags(block: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yields tag, type, count and value or offset from the first directory of a TIFF; nothing if it is damaged."""
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None or len(block) < 16:
        return
    big = block[2:4] in (b"+\0", b"\0+")
    field = 8 if big else 4
    head, entry = (order + "Q", order + "HHQQ") if big else (order + "H", order + "HHII")
    (start,) = struct.unpack_from(order + ("Q" if big else "I"), block, field)
    first, step = start + struct.calcsize(head), struct.calcsize(entry)
    if first > len(block):
        return
    (count,) = struct.unpack_from(head, block, start)
    for offset in range(first, min(first + count * step, len(block) - step + 1), step):
        tag, kind, number, value = struct.unpack_from(entry, block, offset)
        if number == 1 and kind in _TIFF_UNSIGNED:  # a short value is stored at the front of its field
            spare = 8 * max(0, field - _TIFF_SIZES[kind])
            value = value >> spare if order == ">" else value & (1 << 8 * field - spare) - 1
        yield tag, kind, number, value


def _hide_segments(data: bytes, offsets: list[int]) -> bytes:
    """Returns a JPEG in which the segments at these offsets have a name that readers ignore."""
    changed = bytearray(data)
    for offset in offsets:
        changed[offset : offset + 3] = b"---"
    return bytes(changed)


BOUNDS: dict[str, Callable[[bytes], bytes]] = {"JPEG": jpeg, "PNG": png, "GIF": gif, "TIFF": tiff, "PPM": ppm}
"""Check of each format that needs more than a size limit: returns the bytes to open, or raises ValueError."""
