"""Which image formats are read, by what their first bytes say, and under which endings their files go.

This is a list of what may be opened: Pillow knows some forty formats more, among them PostScript, which it hands to
Ghostscript, and wrappers (IPTC, ICNS, FPX, MIC) in which any other format can hide. All formats here can be bounded
before they are decoded. Left out on purpose: JPEG 2000, whose cost does not show in its header and whose decoder runs
to the end in one call that no signal interrupts; and TGA, PCX, PSD and other formats of drawing programs.
"""

import re
from collections.abc import Sequence

FORMATS: dict[str, tuple[str, ...]] = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png", ".apng"),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "ICO": (".ico",),
    "AVIF": (".avif",),
    "HEIF": (".heic", ".heif"),
}
"""Formats that are read, as Pillow calls them, and the endings of their files."""

IMAGE_ENDINGS = frozenset(ending for endings in FORMATS.values() for ending in endings)
"""Endings of the names of image files, in lower case."""

HEAD = 512
"""Bytes that tell the format of a file."""

_BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\0\0\1\0", "ICO"),
)
_PPM = re.compile(rb"P[1-6f][\s#]")
_AVIF_BRANDS = frozenset((b"avif", b"avis"))
_HEIF_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"))
_UNKNOWN = "not an image in a known format"
_NOT_READ: tuple[tuple[bytes, str], ...] = (
    (rb"%!PS|\xc5\xd0\xd3\xc6", "PostScript is a program, which Pillow would have Ghostscript run; save a PNG"),
    (rb"%PDF-", f"{_UNKNOWN}: it is a PDF document; save its page as PNG"),
    (
        rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51",
        "JPEG 2000 is not read, as its cost cannot be bounded; save it as PNG or JPEG",
    ),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", f"{_UNKNOWN}: it is JPEG XL; save it as PNG or JPEG"),
    (rb"8BPS", f"{_UNKNOWN}: it is a Photoshop document; save it as PNG or JPEG"),
    (rb"PK\x03\x04", f"{_UNKNOWN}: it is a ZIP archive; unpack it first"),
    (rb"version https://git-lfs", f"{_UNKNOWN}: it is a pointer of Git LFS; get the file with git lfs pull"),
    (rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<svg", f"{_UNKNOWN}: it is an SVG drawing; save it as PNG"),
    (rb"(?i)\s*(<!doctype html|<html|<head)", f"{_UNKNOWN}: it is a web page, perhaps in the place of a download"),
    (rb"....ftyp", f"{_UNKNOWN}: it is a video; save one of its frames as PNG or JPEG"),
)


def format_of(head: bytes) -> str | None:
    """Returns the format of a file as Pillow calls it, or None where it is none that is read.

    Args:
        head: The file's first ``HEAD`` bytes, or all of a shorter one.
    """
    for beginning, name in _BEGINNINGS:
        if head.startswith(beginning):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if _PPM.match(head):
        return "PPM"
    return _format_of_boxes(head)


def why_not(head: bytes) -> str:
    """Returns why a file is not read whose format ``format_of`` does not tell."""
    for pattern, reason in _NOT_READ:
        if re.match(pattern, head, re.DOTALL):
            return reason
    return f"{_UNKNOWN} (JPEG, PNG, GIF, WebP, BMP, TIFF, …)"


def some(names: Sequence[str], shown: int = 3) -> str:
    """Returns the first of several names, and dots where there are more."""
    return ", ".join(names[:shown]) + (", …" if len(names) > shown else "")


def _format_of_boxes(head: bytes) -> str | None:
    """Returns the format of an ISO base media file by the brands in its first box."""
    if head[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12], *(head[place : place + 4] for place in range(16, end - 3, 4))}
    if brands & _AVIF_BRANDS:
        return "AVIF"
    return "HEIF" if brands & _HEIF_BRANDS else None
