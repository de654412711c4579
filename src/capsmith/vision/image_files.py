"""The one place where image files are opened: only formats of a list, only regular files, and at a bounded cost.

What an image may cost is decided before it is decoded: pixels from its header, scans of a progressive JPEG from its
markers. A decoder runs in C, where Ctrl-C waits; so a long JPEG is handed over piece by piece, and formats whose
decoders take everything in one call may have fewer pixels. No call takes much more than a second.
"""

import contextlib
import ctypes
import os
import stat
import threading
from collections.abc import Callable
from functools import cache
from io import BytesIO
from itertools import islice
from pathlib import Path

from PIL import Image, ImageFile, UnidentifiedImageError, features

from capsmith.core.errors import ImageError, one_line
from capsmith.vision.image_bounds import BOUNDS, MAX_EXIF, has_several_scans, icon, jpeg_scans, tags_fit, webp_size
from capsmith.vision.image_formats import HEAD, format_of, why_not

MAX_PIXELS = 100_000_000
"""Larger images are refused from their header, before any of their pixels are decoded."""

MAX_BYTES = 1 << 30
"""Larger files are refused unread."""

MAX_SIDE = 65_535
"""Pixels a side: the most that JPEG and GIF allow."""

MAX_SCANNED = 2_000_000_000
"""Pixels that the scans of one JPEG may cover: 20 scans of the largest image, where 10 are usual."""

MAX_IN_ONE_CALL = 50_000_000
"""Pixels of an image whose decoder cannot be interrupted, and goes no faster than 50 megapixels a second."""

MAX_IN_PYTHON = 10_000_000
"""Pixels of an image whose decoder is Python code: BMP with run lengths, PPM with other than 8 or 16 bits."""

_ONE_CALL = ("WEBP", "AVIF", "HEIF")
_PYTHON = ("bmp_rle", "ppm", "ppm_plain")
_AT_ONCE = 250_000_000  # pixels that scans may cover between two looks at signals
_BLOCK = 1 << 24  # bytes that are read between two looks at signals
_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_LOCK = threading.Lock()
_ORIENTATION = 0x0112


def open_image(source: str | Path | bytes, name: str, max_pixels: int = MAX_PIXELS) -> ImageFile.ImageFile:
    """Opens an image, of which nothing is decoded yet.

    Args:
        source: A path, or the bytes of a file.
        name: How messages call it.
        max_pixels: Images with more pixels than this are refused.

    Returns:
        Pillow's image. Decoding it takes bounded time and memory.

    Raises:
        ImageError: One line that names the image and says why it is not opened.
    """
    if not isinstance(source, bytes | str | os.PathLike):
        raise ImageError(
            f"{name}: {type(source).__name__} is not an image: give a path, bytes, a PIL image or an array"
        )
    try:
        data = source if isinstance(source, bytes) else _read(Path(source), name)
        return _open(data, name, max_pixels)
    except UnidentifiedImageError as error:
        raise ImageError(f"{name}: not an image in a known format (JPEG, PNG, GIF, WebP, BMP, TIFF, …)") from error
    except OSError as error:
        raise ImageError(f"{name}: {error.strerror or one_line(error)}") from error
    except ImageError:
        raise
    except Exception as error:  # headers are parsed by decoders that raise nearly every kind of exception
        raise ImageError(f"{name}: the image is damaged ({one_line(error)}): get it again") from error


def check_size(width: int, height: int, name: str, max_pixels: int = MAX_PIXELS, kind: str = "") -> None:
    """Raises ImageError where an image has no pixels, or too many.

    Args:
        width: Of the image, in pixels.
        height: Likewise.
        name: How the message calls the image.
        max_pixels: More are refused.
        kind: The format, where the limit is its own.
    """
    if width * height > max_pixels:
        limit = f"{max_pixels / 1e6:,.0f} megapixels" + (f" for {kind}" if kind else "")
        raise ImageError(f"{name}: {width} × {height} pixels is more than the limit of {limit}")
    if max(width, height) > MAX_SIDE:
        raise ImageError(f"{name}: {width} × {height} pixels is more than the limit of {MAX_SIDE:,} pixels a side")
    if min(width, height) < 1:
        raise ImageError(f"{name}: the image has no pixels")


def orientation(image: Image.Image) -> int:
    """Returns how an image is to be turned: 1 to 8 as EXIF has it, 1 where nothing is said or EXIF is damaged."""
    exif = image.info.get("exif") or b""
    profile = image.info.get("Raw profile type exif") or ""
    if len(profile) > 2 * MAX_EXIF or len(exif) > MAX_EXIF or not tags_fit(exif.removeprefix(b"Exif\0\0")):
        return 1
    with contextlib.suppress(Exception):  # a damaged EXIF block says nothing about the pixels
        return int(image.getexif().get(_ORIENTATION, 1))
    return 1


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Returns width and height of an image as it is seen, whether it is decoded yet or not."""
    width, height = image.size
    if image.format == "TIFF" and getattr(image, "tile", None):  # newer versions of Pillow tell the upright size here
        width, height = image.tag_v2.get(256, width), image.tag_v2.get(257, height)  # type: ignore[attr-defined]
    return (height, width) if orientation(image) in (5, 6, 7, 8) else (width, height)


def _read(path: Path, name: str) -> bytes:
    """Reads a file that is one; a pipe or a device may never end."""
    _require_file(path.stat().st_mode, name)
    with open(path, "rb", opener=_without_waiting) as file:
        about = os.fstat(file.fileno())
        _require_file(about.st_mode, name)  # it may have been exchanged meanwhile
        if about.st_size > MAX_BYTES:
            raise ImageError(f"{name}: {about.st_size:,} bytes is more than the limit of {MAX_BYTES:,}")
        head = file.read(min(HEAD, about.st_size))
        if head and format_of(head) is None:
            raise ImageError(f"{name}: {why_not(head)}")
        parts, rest = [head], about.st_size - len(head)
        while rest > 0 and (part := file.read(min(rest, _BLOCK))):
            parts.append(part)
            rest -= len(part)
        return b"".join(parts)


def _require_file(mode: int, name: str) -> None:
    if stat.S_ISDIR(mode):
        raise ImageError(f"{name}: Is a directory")
    if not stat.S_ISREG(mode):
        kind = next((kind for is_kind, kind in _KINDS if is_kind(mode)), "something else")
        raise ImageError(f"{name}: not a file, but {kind}")


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _open(data: bytes, name: str, max_pixels: int) -> ImageFile.ImageFile:
    if not data:
        raise ImageError(f"{name}: the file is empty")
    kind = format_of(data[:HEAD])
    if kind == "ICO":
        data = _bounded(icon, data, name)
        kind = format_of(data[:HEAD])
    if kind is None:
        raise ImageError(f"{name}: {why_not(data[:HEAD])}")
    if kind == "WEBP":
        check_size(*webp_size(data), name, min(max_pixels, MAX_IN_ONE_CALL), "WebP")
    if kind == "HEIF":
        _load_heif(name)
    if kind == "TIFF":
        _silence_libtiff()
    if kind == "AVIF" and not features.check("avif"):
        raise ImageError(f"{name}: this Pillow reads no AVIF images: pip install --upgrade pillow")
    if kind in BOUNDS:
        data = _bounded(BOUNDS[kind], data, name)
    image = _by_pillow(data, kind)
    try:
        _check(image, kind, data, name, max_pixels)
    except BaseException:
        image.close()
        raise
    return image


def _bounded(check: Callable[[bytes], bytes], data: bytes, name: str) -> bytes:
    try:
        return check(data)
    except ValueError as error:
        raise ImageError(f"{name}: {error}") from error


def _by_pillow(data: bytes, kind: str) -> ImageFile.ImageFile:
    with _LOCK:  # our own limit replaces Pillow's, which warns; its switch is global, so hold it briefly
        kept, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(BytesIO(data), formats=(kind,))
        finally:
            Image.MAX_IMAGE_PIXELS = kept


def _check(image: ImageFile.ImageFile, kind: str, data: bytes, name: str, max_pixels: int) -> None:
    """Raises ImageError where what came out is something else than was asked for, or would take too long."""
    if image.format != kind and (kind, image.format) != ("JPEG", "MPO"):
        raise ImageError(f"{name}: it begins as {kind}, but is {image.format}")
    width, height = image.size
    check_size(width, height, name, max_pixels)
    if kind in _ONE_CALL:
        check_size(width, height, name, min(max_pixels, MAX_IN_ONE_CALL), kind)
    if image.tile and image.tile[0][0] in _PYTHON:
        check_size(width, height, name, min(max_pixels, MAX_IN_PYTHON), f"a {kind} of this kind")
    if kind == "JPEG" and has_several_scans(data):
        most = data.count(b"\xff\xda")  # at least as many as there are scans
        if most * width * height > _AT_ONCE:
            _check_scans(image, data, name)


def _check_scans(image: ImageFile.ImageFile, data: bytes, name: str) -> None:
    """Bounds what the scans of a JPEG cost, and hands them to the decoder a few at a time."""
    width, height = image.size
    allowed = MAX_SCANNED // (width * height)
    scans = list(islice(jpeg_scans(data), allowed + 1))
    if len(scans) > allowed:
        raise ImageError(
            f"{name}: a JPEG of {width} × {height} pixels with more than {allowed} scans would take too long to decode"
        )
    together = max(1, _AT_ONCE // (width * height))
    image.load_read = _pieces(data, scans[together::together])  # type: ignore[attr-defined]


def _pieces(data: bytes, ends: list[int]) -> Callable[[int], bytes]:
    """Returns what Pillow reads a file by: as much as it asks for, but never past one of these places."""
    place, left = 0, iter(ends)
    end = next(left, len(data))

    def read(size: int) -> bytes:
        nonlocal place, end
        piece = data[place : min(place + size, end)]
        place += len(piece)
        if place >= end:
            end = next(left, len(data))
        return piece

    return read


def _load_heif(name: str) -> None:
    try:
        import pillow_heif
    except ImportError as error:
        raise ImageError(f"{name}: HEIC images need pillow-heif: pip install 'capsmith[heic]'") from error
    if "HEIF" not in Image.OPEN:
        pillow_heif.register_heif_opener(thumbnails=False)


@cache
def _silence_libtiff() -> None:
    """Keeps libtiff from writing to the terminal by itself; what is wrong is told by the exception."""
    with contextlib.suppress(OSError, AttributeError):  # a Pillow that is built otherwise
        library = ctypes.CDLL(Image.core.__file__)
        library.TIFFSetErrorHandler(None)
        library.TIFFSetWarningHandler(None)
