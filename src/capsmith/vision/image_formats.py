"""The image formats that are read: their signatures and file extensions.

This is an allow list. Pillow supports some forty more formats, among them PostScript, which it passes to Ghostscript,
and containers (IPTC, ICNS, FPX, MIC) in which any other format can hide. The cost of all formats here can be bounded
before decoding. Deliberately omitted: JPEG 2000, whose header does not show its cost and whose decoder runs in one call
that no signal interrupts; and TGA, PCX, PSD and other formats of drawing programs.
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
"""Formats that are read, by Pillow's names, and their file extensions."""

IMAGE_ENDINGS = frozenset(ending for endings in FORMATS.values() for ending in endings)
"""Extensions of image files, in lower case."""

HEAD = 512
"""Number of bytes from which the format of a file is detected."""

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
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
    (rb"%!PS|\xc5\xd0\xd3\xc6", "PostScript is a program, which Pillow would pass to Ghostscript; save it as PNG"),
    (rb"%PDF-", f"{_UNKNOWN}: it is a PDF document; save its page as PNG"),
    (
        rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51",
        "JPEG 2000 is not read because its cost cannot be bounded; save it as PNG or JPEG",
    ),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", f"{_UNKNOWN}: it is JPEG XL; save it as PNG or JPEG"),
    (rb"8BPS", f"{_UNKNOWN}: it is a Photoshop document; save it as PNG or JPEG"),
    (rb"PK\x03\x04", f"{_UNKNOWN}: it is a ZIP archive; unpack it first"),
    (rb"version https://git-lfs", f"{_UNKNOWN}: it is a Git LFS pointer; get the file with git lfs pull"),
    (rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<svg", f"{_UNKNOWN}: it is an SVG drawing; save it as PNG"),
    (rb"(?i)\s*(<!doctype html|<html|<head)", f"{_UNKNOWN}: it is a web page, perhaps from a failed download"),
    (rb"....ftyp", f"{_UNKNOWN}: it is a video; save a frame as PNG or JPEG"),
)


def format_of(head: bytes) -> str | None:
    """Returns the format of a file by Pillow's name, or None if it is not read.

    Args:
        head: The first ``HEAD`` bytes of the file, or all bytes of a shorter file.
    """
    for signature, name in _SIGNATURES:
        if head.startswith(signature):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if _PPM.match(head):
        return "PPM"
    return _format_of_boxes(head)


def why_unknown(head: bytes) -> str:
    """Returns the reason why a file that ``format_of`` does not recognise is not read."""
    for pattern, reason in _NOT_READ:
        if re.match(pattern, head, re.DOTALL):
            return reason
    return f"{_UNKNOWN} (JPEG, PNG, GIF, WebP, BMP, TIFF, …)"


def first_names(names: Sequence[str]) -> str:
    """Returns the first few names, followed by dots if there are more."""
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


def _format_of_boxes(head: bytes) -> str | None:
    """Returns the format of an ISO base media file from the brands in its first box."""
    if head[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12], *(head[place : place + 4] for place in range(16, end - 3, 4))}
    if brands & _AVIF_BRANDS:
        return "AVIF"
    return "HEIF" if brands & _HEIF_BRANDS else None
