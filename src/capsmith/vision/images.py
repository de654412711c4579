"""Loads images of any kind as upright RGB arrays of one size.

Training, extraction and captioning all use `load_image`, so an image gives the same pixels everywhere. Resizing is
Pillow's antialiased bilinear filter, directly to the requested height and width; the aspect ratio is not kept, as in
the training of the encoders. Large JPEG files are decoded at 1/2, 1/4 or 1/8 size (Pillow's draft mode) when that
still leaves twice the requested pixels in each direction: several times faster, and within a few grey levels of the
full decode. ``image_files`` decides which files are opened. Networks that were trained elsewhere may take images that
were brought to size in another way (``framing``).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, ImageOps

from capsmith.core.errors import ImageError, one_line
from capsmith.vision.cached_crops import Crop
from capsmith.vision.framing import Framing, Resize, framing_of
from capsmith.vision.image_files import MAX_PIXELS, check_size, open_image, orientation, read_image
from capsmith.vision.image_formats import FORMATS

ImageSource = str | Path | bytes | Image.Image | np.ndarray
"""An image: a path, the bytes of a file, a Pillow image, or an array of pixels."""

_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N")


def load_image(
    source: ImageSource,
    size: tuple[int, int],
    max_pixels: int = MAX_PIXELS,
    crop: Crop | None = None,
    framing: Framing = "stretch",
) -> np.ndarray:
    """Loads one image as upright 8-bit RGB of the given size.

    EXIF rotation is applied. Transparent pixels are composited on white. 16 bits are scaled to 8. Only the first frame
    of an animation is used. CMYK, palette, greyscale and black-and-white images become RGB.

    Args:
        source: A path, the bytes of a file, a Pillow image, or an array: (H, W), (H, W, 3) or (H, W, 4); uint8 or
            uint16 over the full range, bool, or floats in [0, 1].
        size: Height and width of the result in pixels; an ``ImageSize`` says how the image is brought to this size.
        max_pixels: Images with more pixels than this are refused before they are decoded.
        crop: Region of the upright image to keep, optionally mirrored; None keeps the complete image.
        framing: How the image is brought to a size that does not say it; a crop is always stretched.

    Returns:
        (H, W, 3) uint8.

    Raises:
        ImageError: The image cannot be read. The message is one line that names the image and the reason.
    """
    name = image_name(source)
    if isinstance(source, np.ndarray):
        pillow_image = _from_array(source, name)
        check_size(*pillow_image.size, name, max_pixels)
        return _to_pixels(pillow_image, size, name, crop, framing)
    if isinstance(source, Image.Image):
        return _to_pixels(_copy(source, name, max_pixels), size, name, crop, framing)
    with open_image(source, name, max_pixels) as image:
        return opened_pixels(image, size, name, crop, framing)


def load_upright(source: ImageSource, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Loads one image as upright 8-bit RGB at its own size, decoded in full.

    Args:
        source: As for ``load_image``.
        max_pixels: As for ``load_image``.

    Raises:
        ImageError: The image cannot be read.
    """
    name = image_name(source)
    if isinstance(source, np.ndarray):
        image = _from_array(source, name)
        check_size(*image.size, name, max_pixels)
        return _decoded(image, name)
    if isinstance(source, Image.Image):
        return _decoded(_copy(source, name, max_pixels), name)
    with open_image(source, name, max_pixels) as opened:
        return _decoded(opened, name)


def load_sizes(
    source: ImageSource,
    sizes: Sequence[tuple[int, int]],
    name: str | None = None,
    max_pixels: int = MAX_PIXELS,
    framing: Framing = "stretch",
) -> list[np.ndarray]:
    """Loads one image in several sizes; each is what ``load_image`` returns.

    The file is read once, and decoded once: only a large JPEG whose draft modes differ is decoded once in each of them.

    Args:
        source: As for ``load_image``.
        sizes: Height and width of each result in pixels.
        name: Name of the image in messages; by default that of the source.
        max_pixels: As for ``load_image``.
        framing: As for ``load_image``.

    Returns:
        For each size (H, W, 3) uint8.

    Raises:
        ImageError: The image cannot be read.
    """
    name = image_name(source) if name is None else name
    if isinstance(source, np.ndarray | Image.Image):
        made = {size: load_image(source, size, max_pixels, framing=framing) for size in dict.fromkeys(sizes)}
        return [made[size] for size in sizes]
    data = source if isinstance(source, bytes) else read_image(source, name)
    made = {}
    while left := [size for size in sizes if size not in made]:
        with open_image(data, name, max_pixels) as image:
            same = [size for size in left if _draft(image, size, framing) == _draft(image, left[0], framing)]
            _use_draft(image, left[0], framing)
            rgb = _decoded(image, name)
            made |= {size: _resized(rgb, size, name, None, framing) for size in same}
    return [made[size] for size in sizes]


def opened_pixels(
    image: Image.Image, size: tuple[int, int], name: str, crop: Crop | None = None, framing: Framing = "stretch"
) -> np.ndarray:
    """Returns the pixels (H, W, 3) of an image that ``open_image`` has opened, as ``load_image`` does; once only."""
    _use_draft(image, size, framing)
    return _to_pixels(image, size, name, crop, framing)


def _use_draft(image: Image.Image, size: tuple[int, int], framing: Framing) -> None:
    if image.format in ("JPEG", "MPO") and framing_of(size, framing) == "stretch":
        side = 2 * max(size)  # the larger side for both: an EXIF rotation may still swap them
        image.draft(None, (side, side))


def _draft(image: Image.Image, size: tuple[int, int], framing: Framing) -> int:
    """Returns by how much Pillow's draft mode will reduce an image that is not decoded yet."""
    if image.format not in ("JPEG", "MPO") or framing_of(size, framing) != "stretch":
        return 1
    possible = min(image.size) // (2 * max(size))
    return next((scale for scale in (8, 4, 2) if possible >= scale), 1)


def image_name(source: ImageSource) -> str:
    """Returns the name of an image for messages: its path, or the kind of source."""
    if isinstance(source, str | Path):
        return str(source)
    if isinstance(source, Image.Image):
        return str(getattr(source, "filename", "")) or "image"
    return "image (bytes)" if isinstance(source, bytes) else "image (array)"


def _copy(image: Image.Image, name: str, max_pixels: int) -> Image.Image:
    """Returns a decoded copy of the caller's image, which is not changed."""
    check_size(*image.size, name, max_pixels)
    if isinstance(image, ImageFile.ImageFile) and image.tile and image.format not in (*FORMATS, "MPO"):
        raise ImageError(
            f"{name}: {image.format} images are not decoded here: call load() on the image first if you trust it"
        )
    try:
        return image.copy()
    except Exception as error:  # the file is closed or damaged
        raise ImageError(f"{name}: the image cannot be decoded ({one_line(error)})") from error


def _to_pixels(image: Image.Image, size: tuple[int, int], name: str, crop: Crop | None, framing: Framing) -> np.ndarray:
    return _resized(_decoded(image, name), size, name, crop, framing)


def _decoded(image: Image.Image, name: str) -> Image.Image:
    """Returns the complete image, upright and in RGB."""
    with _damage_explained(name):
        image.load()
        return _rgb(_upright(image))


def _resized(image: Image.Image, size: tuple[int, int], name: str, crop: Crop | None, framing: Framing) -> np.ndarray:
    target = (size[1], size[0])  # Pillow's order: width, height
    framing = framing_of(size, framing)
    with _damage_explained(name):
        if crop is not None:
            resample = framing.filter if isinstance(framing, Resize) else Image.Resampling.BILINEAR
            return np.array(_crop(image, crop, target, resample))
        if isinstance(framing, Resize):
            return np.array(framing.apply(image, target))
        return np.array(image if image.size == target else image.resize(target, Image.Resampling.BILINEAR))


@contextmanager
def _damage_explained(name: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # Pillow's decoders raise nearly every kind of exception on damaged files
        raise ImageError(f"{name}: the image is truncated or damaged ({one_line(error)}): replace the file") from error


def _crop(image: Image.Image, crop: Crop, target: tuple[int, int], resample: Image.Resampling) -> Image.Image:
    if crop.mirrored:
        image = ImageOps.mirror(image)
    left, top, right, bottom = (fraction * side for fraction, side in zip(crop.box, image.size * 2, strict=True))
    return image.resize(target, resample, box=(left, top, right, bottom))


def _upright(image: Image.Image) -> Image.Image:
    operation = _TRANSPOSE.get(orientation(image))
    return image if operation is None else image.transpose(operation)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode in _SIXTEEN_BIT:
        return _eight_bits(np.asarray(image) / np.float32(257))
    if image.mode == "I":  # mode I does not specify the range: 8 bits, 16 bits, or up to the largest value
        values = np.asarray(image)
        top = int(values.max())
        return _eight_bits(values / np.float32(1 if top <= 255 else 257 if top <= 65535 else top / 255))
    if image.mode == "F":
        values = np.nan_to_num(np.asarray(image))
        return _eight_bits(values * 255 if values.max() <= 1 else values)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(values: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8)).convert("RGB")


def _from_array(array: np.ndarray, name: str) -> Image.Image:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))):
        raise ImageError(f"{name}: shape {array.shape} is not (H, W), (H, W, 3) or (H, W, 4)")
    if not array.size:
        raise ImageError(f"{name}: the image has no pixels")
    if array.dtype == np.uint16:
        array = np.rint(array.astype(np.float32) / 257).astype(np.uint8)
    elif array.dtype == np.bool_:
        array = array.astype(np.uint8) * np.uint8(255)
    elif np.issubdtype(array.dtype, np.floating):
        low, high = float(array.min()), float(array.max())
        if not (low >= 0 and high <= 1):  # also refuses NaN
            raise ImageError(
                f"{name}: floats from {low:g} to {high:g}; use floats in [0, 1], or uint8 for pixels 0–255"
            )
        array = np.rint(array * 255).astype(np.uint8)
    elif array.dtype != np.uint8:
        raise ImageError(f"{name}: {array.dtype} pixels; use uint8, uint16, bool, or floats in [0, 1]")
    return Image.fromarray(np.ascontiguousarray(array))
