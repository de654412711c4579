"""Checks of images, pixels and features that a captioner is given; each error is one clear line.

B images · D channels · L regions.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from capsmith.core.errors import CapsmithError, FeatureError, ImageError, one_line
from capsmith.vision.images import ImageSource, image_name, load_image

Several = list[Any] | tuple[Any, ...] | Iterator[Any]
"""Several images; each may be of another kind."""
Raise = Literal["raise"]
Return = Literal["return"]
OnError = Literal["raise", "return"]
_IMAGES = (str, Path, bytes, Image.Image, np.ndarray)
_WANTED = "a path, the bytes of a file, a PIL image or an array (H, W, 3)"


def image_list(images: Any) -> tuple[list[Any], bool]:
    """Returns images as a list, and whether the caller passed an iterable.

    Raises:
        TypeError: An argument is not an image.
    """
    if isinstance(images, _IMAGES):
        return [images], False
    if not isinstance(images, Iterable) or isinstance(images, Mapping | AbstractSet | bytearray | memoryview):
        raise TypeError(f"an image is {_WANTED}, not {type(images).__name__}; pass several as a list")
    several = list(images)
    for place, image in enumerate(several):
        if not isinstance(image, _IMAGES):
            raise TypeError(f"images[{place}]: an image is {_WANTED}, not {type(image).__name__}")
    return several, True


def read_images(
    images: Sequence[ImageSource], sizes: Sequence[tuple[int, int]], count: int, several: bool, on_error: OnError
) -> Iterator[list[Any]]:
    """Yields batches of images: for each image a list of its pixels at every size, or its error.

    Args:
        images: From ``image_list``.
        sizes: Height and width for each encoder.
        count: Images in a batch.
        several: Name the position of an image in messages.
        on_error: ``"raise"`` errors, or ``"return"`` them in place of the image.

    Raises:
        ImageError: An image cannot be read, or is a closed PIL image.
        ValueError: ``on_error`` has another value.
    """
    if on_error not in ("raise", "return"):
        raise ValueError(f"on_error is 'raise' or 'return', not {on_error!r:.80}")
    for first in range(0, len(images), count):
        batch: list[Any] = []
        for place, image in enumerate(images[first : first + count], first):
            try:
                batch.append([_pixels(image, size, f"images[{place}]: " if several else "") for size in sizes])
            except ImageError as error:
                if on_error == "raise":
                    raise
                batch.append(error)
        yield batch


def _pixels(image: ImageSource, size: tuple[int, int], place: str) -> np.ndarray:
    try:
        return load_image(image, size)
    except ImageError as error:
        raise ImageError(f"{place}{error}") from error
    except Exception as error:  # Pillow raises almost any exception for its closed or damaged images
        if not isinstance(image, Image.Image):
            raise
        raise ImageError(f"{place}{image_name(image)}: the image cannot be read ({one_line(error)})") from error


def checked_features(features: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Checks that features fit a decoder, and returns them.

    Args:
        features: Features of B images, (B, D) or (B, L, D).
        shape: Shape for one image, (D,) or (L, D).

    Raises:
        FeatureError: The shape differs, or numbers are not finite.
        TypeError: The features are not an array of real numbers.
    """
    if not isinstance(features, np.ndarray) or features.dtype.kind not in "fiu":
        kind = f"an array of {features.dtype}" if isinstance(features, np.ndarray) else type(features).__name__
        raise TypeError(f"features are a NumPy array of real numbers, not {kind}")
    if features.shape == shape:
        raise FeatureError(f"these are the features of one image: add a first axis, features[None], {(1, *shape)}")
    if features.shape[1:] != shape:
        raise FeatureError(
            f"the features of an image have shape {features.shape[1:]}, but this captioner takes {shape}: "
            "do they come from another encoder?"
        )
    if features.dtype.kind == "f" and not np.isfinite(features).all():
        raise FeatureError("features contain NaN or infinity: extract them again")
    return features


def check_pixels(pixels: Sequence[Any], sizes: Sequence[tuple[int, int]]) -> None:
    """Checks that there is one array of pixels (B, H, W, 3) for each encoder, at its size.

    Raises:
        TypeError: The number of arrays differs, or an argument is not an array.
        ValueError: An array has another shape.
    """
    if len(pixels) != len(sizes):
        raise TypeError(f"pixels are one array for each encoder: {len(sizes)} arrays, not {len(pixels)}")
    for array, size in zip(pixels, sizes, strict=True):
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
            kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
            raise TypeError(f"pixels are an array of numbers from 0 to 255, not {kind}")
        if array.ndim != 4 or array.shape[1:] != (*size, 3):
            raise ValueError(f"pixels have shape {array.shape}, but the encoder takes (B, {size[0]}, {size[1]}, 3)")


def require_same_process(process: int) -> None:
    """Checks that a captioner is used by the process that loaded it.

    Raises:
        CapsmithError: This process is a fork of that one. TensorFlow's threads do not exist in it: a call would hang.
    """
    if os.getpid() != process:
        raise CapsmithError(
            "this captioner was loaded before the process was forked, and cannot be used in the child: load it there, "
            'or start processes with multiprocessing.get_context("spawn")'
        )
