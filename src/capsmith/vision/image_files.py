"""Opens image files: only formats of an allow list, only regular files, and at a bounded cost.

All images are opened here, those inside shards included (``core/readers/shard_members.py``). The cost of an image is
bounded before it is decoded: the pixels from its header, the scans of a progressive JPEG from its markers. Decoders run
in C, where Ctrl-C has to wait. Therefore a long JPEG is decoded in pieces, and formats that are decoded in one call may
have fewer pixels. No call takes much more than a second.
"""

import contextlib
import ctypes
import os
import stat
import threading
from collections.abc import Callable, Iterator
from functools import cache
from io import BytesIO
from itertools import islice
from pathlib import Path

from PIL import Image, ImageFile, UnidentifiedImageError, features

from capsmith.core.errors import ImageError, MissingExtraError, one_line
from capsmith.core.readers.shard_members import read_member
from capsmith.core.readers.tar_index import ShardError
from capsmith.vision.image_bounds import BOUNDS, MAX_EXIF, has_several_scans, icon, jpeg_scans, tags_fit, webp_size
from capsmith.vision.image_formats import HEAD, format_of, why_unknown

MAX_PIXELS = 100_000_000
"""Images with more pixels are refused from their header, before decoding."""

MAX_BYTES = 1 << 30
"""Files with more bytes are refused unread."""

MAX_SIDE = 65_535
"""Largest side in pixels: the limit of JPEG and GIF."""

MAX_SCANNED = 2_000_000_000
"""Pixels that all scans of a JPEG may cover: 20 scans of the largest image; 10 are usual."""

MAX_IN_ONE_CALL = 50_000_000
"""Pixels of an image whose decoder cannot be interrupted; such decoders reach at most 50 megapixels per second."""

MAX_IN_PYTHON = 10_000_000
"""Pixels of an image whose decoder is Python code: run-length BMP, and PPM with other than 8 or 16 bits."""

_UNINTERRUPTIBLE = ("WEBP", "AVIF", "HEIF")
_DECODED_IN_PYTHON = ("bmp_rle", "ppm", "ppm_plain")
_MAX_PER_PIECE = 250_000_000  # pixels that scans may cover before signals are handled
_BLOCK = 1 << 24  # bytes read before signals are handled
_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_LOCK = threading.Lock()
_ORIENTATION = 0x0112


def open_image(source: str | Path | bytes, name: str, max_pixels: int = MAX_PIXELS) -> ImageFile.ImageFile:
    """Opens an image without decoding it.

    Args:
        source: A path, or the bytes of a file.
        name: Name of the image in messages.
        max_pixels: Images with more pixels are refused.

    Returns:
        A Pillow image whose decoding takes bounded time and memory.

    Raises:
        ImageError: The image cannot be opened. The message is one line that names the image and the reason.
    """
    if not isinstance(source, bytes | str | os.PathLike):
        raise ImageError(
            f"{name}: {type(source).__name__} is not an image: pass a path, bytes, a PIL image or an array"
        )
    with _explained(name):
        data = source if isinstance(source, bytes) else _read(Path(source), name)
        return _open(data, name, max_pixels)


def read_image(path: str | Path, name: str) -> bytes:
    """Returns the bytes of an image file, which ``open_image`` takes.

    Args:
        path: The file.
        name: Name of the image in messages.

    Raises:
        ImageError: It cannot be read, is no regular file, is too large, or begins as no image does.
    """
    with _explained(name):
        return _read(Path(path), name)


@contextlib.contextmanager
def _explained(name: str) -> Iterator[None]:
    try:
        yield
    except UnidentifiedImageError as error:
        raise ImageError(f"{name}: not an image in a known format (JPEG, PNG, GIF, WebP, BMP, TIFF, …)") from error
    except OSError as error:
        raise ImageError(f"{name}: {error.strerror or one_line(error)}") from error
    except ShardError as error:
        raise ImageError(f"{name}: {one_line(error)}") from error
    except (ImageError, MissingExtraError):
        raise
    except Exception as error:  # decoders raise nearly every kind of exception for a bad header
        raise ImageError(f"{name}: the image is damaged ({one_line(error)}): replace the file") from error


def check_size(width: int, height: int, name: str, max_pixels: int = MAX_PIXELS, kind: str = "") -> None:
    """Raises ImageError if an image has no pixels, or too many.

    Args:
        width: Width in pixels.
        height: Height in pixels.
        name: Name of the image in messages.
        max_pixels: Largest number of pixels.
        kind: The format, if the limit applies to this format only.
    """
    if width * height > max_pixels:
        limit = f"{max_pixels / 1e6:,.0f} megapixels" + (f" for {kind}" if kind else "")
        raise ImageError(f"{name}: {width} × {height} pixels is more than the limit of {limit}")
    if max(width, height) > MAX_SIDE:
        raise ImageError(f"{name}: {width} × {height} pixels is more than the limit of {MAX_SIDE:,} pixels a side")
    if min(width, height) < 1:
        raise ImageError(f"{name}: the image has no pixels")


def orientation(image: Image.Image) -> int:
    """Returns the EXIF orientation of an image, 1 to 8; 1 (upright) if it is missing or EXIF is damaged."""
    exif = image.info.get("exif") or b""
    profile = image.info.get("Raw profile type exif") or ""
    if len(profile) > 2 * MAX_EXIF or len(exif) > MAX_EXIF or not tags_fit(exif.removeprefix(b"Exif\0\0")):
        return 1
    with contextlib.suppress(Exception):  # the pixels may be fine even if EXIF is damaged
        return int(image.getexif().get(_ORIENTATION, 1))
    return 1


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Returns width and height of the upright image, decoded or not."""
    width, height = image.size
    if image.format == "TIFF" and getattr(image, "tile", None):  # newer versions of Pillow report the upright size
        width, height = image.tag_v2.get(256, width), image.tag_v2.get(257, height)  # type: ignore[attr-defined]
    return (height, width) if orientation(image) in (5, 6, 7, 8) else (width, height)


def _read(path: Path, name: str) -> bytes:
    """Reads a regular file or a member of a shard; reading a pipe or a device might never end."""
    try:
        mode = path.stat().st_mode
    except (NotADirectoryError, FileNotFoundError):
        if (content := read_member(path, MAX_BYTES)) is None:
            raise
        _require_image(content[:HEAD], name)
        return content
    _require_file(mode, name)
    with open(path, "rb", opener=_open_nonblocking) as file:
        status = os.fstat(file.fileno())
        _require_file(status.st_mode, name)  # it may have been replaced meanwhile
        if status.st_size > MAX_BYTES:
            raise ImageError(f"{name}: {status.st_size:,} bytes is more than the limit of {MAX_BYTES:,}")
        head = file.read(min(HEAD, status.st_size))
        _require_image(head, name)
        parts, rest = [head], status.st_size - len(head)
        while rest > 0 and (part := file.read(min(rest, _BLOCK))):
            parts.append(part)
            rest -= len(part)
        return b"".join(parts)


def _require_image(head: bytes, name: str) -> None:
    if head and format_of(head) is None:
        raise ImageError(f"{name}: {why_unknown(head)}")


def _require_file(mode: int, name: str) -> None:
    if stat.S_ISDIR(mode):
        raise ImageError(f"{name}: Is a directory")
    if not stat.S_ISREG(mode):
        kind = next((kind for is_kind, kind in _KINDS if is_kind(mode)), "something else")
        raise ImageError(f"{name}: not a file, but {kind}")


def _open_nonblocking(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _open(data: bytes, name: str, max_pixels: int) -> ImageFile.ImageFile:
    if not data:
        raise ImageError(f"{name}: the file is empty")
    kind = format_of(data[:HEAD])
    if kind == "ICO":
        data = _bounded(icon, data, name)
        kind = format_of(data[:HEAD])
    if kind is None:
        raise ImageError(f"{name}: {why_unknown(data[:HEAD])}")
    if kind == "WEBP":
        check_size(*webp_size(data), name, min(max_pixels, MAX_IN_ONE_CALL), "WebP")
    if kind == "HEIF":
        _load_heif(name)
    if kind == "TIFF":
        _silence_libtiff()
    if kind == "AVIF" and not features.check("avif"):
        raise ImageError(f"{name}: this version of Pillow cannot read AVIF images: pip install --upgrade pillow")
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
    with _LOCK:  # disables Pillow's own limit, which only warns. It is a global variable, so it is restored at once.
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(BytesIO(data), formats=(kind,))
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _check(image: ImageFile.ImageFile, kind: str, data: bytes, name: str, max_pixels: int) -> None:
    """Raises ImageError if Pillow detected another format, or decoding would take too long."""
    if image.format != kind and (kind, image.format) != ("JPEG", "MPO"):
        raise ImageError(f"{name}: it starts as {kind}, but is {image.format}")
    width, height = image.size
    check_size(width, height, name, max_pixels)
    if kind in _UNINTERRUPTIBLE:
        check_size(width, height, name, min(max_pixels, MAX_IN_ONE_CALL), kind)
    if image.tile and image.tile[0][0] in _DECODED_IN_PYTHON:
        check_size(width, height, name, min(max_pixels, MAX_IN_PYTHON), f"a {kind} of this kind")
    if kind == "JPEG" and has_several_scans(data):
        max_scans = data.count(b"\xff\xda")  # an upper bound
        if max_scans * width * height > _MAX_PER_PIECE:
            _check_scans(image, data, name)


def _check_scans(image: ImageFile.ImageFile, data: bytes, name: str) -> None:
    """Bounds the cost of the scans of a JPEG, and makes Pillow decode a few of them at a time."""
    width, height = image.size
    allowed = MAX_SCANNED // (width * height)
    scans = list(islice(jpeg_scans(data), allowed + 1))
    if len(scans) > allowed:
        raise ImageError(
            f"{name}: a JPEG of {width} × {height} pixels with more than {allowed} scans would take too long to decode"
        )
    per_piece = max(1, _MAX_PER_PIECE // (width * height))
    image.load_read = _pieces(data, scans[per_piece::per_piece])  # type: ignore[attr-defined]


def _pieces(data: bytes, ends: list[int]) -> Callable[[int], bytes]:
    """Returns a read function for Pillow that stops at each of these offsets, even if more bytes are requested."""
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
    """Stops libtiff from writing to the terminal. The exceptions report the errors."""
    with contextlib.suppress(OSError, AttributeError):  # other builds of Pillow
        library = ctypes.CDLL(Image.core.__file__)
        library.TIFFSetErrorHandler(None)
        library.TIFFSetWarningHandler(None)
