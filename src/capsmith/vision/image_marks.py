"""Marks the images that capsmith draws, so that it later overwrites only its own files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from capsmith.vision.image_files import open_image

SOFTWARE = 0x0131
"""The EXIF tag that names the program that wrote an image."""
_FORMATS = ("PNG", "JPEG", "WEBP")  # formats in which the mark can be read without decoding the image


def marked(kind: str) -> dict[str, Any]:
    """Returns the arguments of ``PIL.Image.save`` that mark an image as drawn by capsmith.

    Args:
        kind: What the image shows, such as ``"captions"``.
    """
    from PIL import Image

    exif = Image.Exif()
    exif[SOFTWARE] = _mark(kind)
    return {"exif": exif.tobytes()}


def is_marked(kind: str) -> Callable[[Path], bool]:
    """Returns a test of whether a file is an image that was saved with ``marked(kind)``."""

    def has_mark(path: Path) -> bool:
        try:
            with open_image(path, path.name) as image:
                return image.format in _FORMATS and _mark(kind).encode() in bytes(image.info.get("exif", b""))
        except Exception:  # not an image, or an error that a damaged header leads to
            return False

    return has_mark


def _mark(kind: str) -> str:
    return f"capsmith {kind}"
