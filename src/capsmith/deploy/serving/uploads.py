"""Uploaded images become pixels: in a few threads off the event loop, by their content and never by their name."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from capsmith.core.errors import ImageError, one_line, out_of_memory
from capsmith.deploy.serving.problems import Problem
from capsmith.deploy.serving.settings import ServeSettings
from capsmith.vision.framing import Framing
from capsmith.vision.image_files import open_image, upright_size
from capsmith.vision.images import load_image, opened_pixels

Sizes = Sequence[tuple[int, int]]
"""Height and width of the pixels that each encoder takes."""

_NAME = "image"  # in messages: file names stay out of them
_LARGE = 13_000_000  # pixels from which images are decoded one after the other: each takes up to 18 bytes a pixel


@dataclass
class Upload:
    """An image of a request.

    Attributes:
        data: Its bytes.
        name: Its file name, only to be shown; None if it has none.
    """

    data: bytes
    name: str | None = None


@dataclass
class Body:
    """What a request holds.

    Attributes:
        images: The images.
        fields: Names and texts of a form's other fields.
        values: The other values of a JSON body; None for a form.
    """

    images: list[Upload] = field(default_factory=list)
    fields: list[tuple[str, str]] = field(default_factory=list)
    values: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class BodyShape:
    """What the body of an operation may hold.

    Attributes:
        key: The key of its images in JSON. Forms always have ``image``.
        single: It has one image at most, which JSON gives as a text; else JSON gives a list.
        required: JSON needs the key.
        max_values: Commas, quotes and brackets of its JSON, of each kind.
        long_fields: The most bytes of those fields of a form that may be long.
    """

    key: str = "images"
    single: bool = False
    required: bool = True
    max_values: int = 5_000
    long_fields: Mapping[str, int] = field(default_factory=dict)

    def most(self, settings: ServeSettings) -> int:
        """Returns how many images it may have."""
        return 1 if self.single else settings.max_images


IMAGES = BodyShape()
"""Images and a few options."""


@dataclass(frozen=True)
class Picture:
    """A decoded image.

    Attributes:
        width: Width of the upright image in pixels.
        height: Its height.
        pixels: One array (H, W, 3) for each encoder.
    """

    width: int
    height: int
    pixels: list[np.ndarray]


class Decoder:
    """Decodes images in threads. Large images have a thread of their own, so that ordinary ones never wait for them.

    Args:
        workers: Number of threads for ordinary images.
        max_pixels: Images with more pixels are refused before they are decoded.
    """

    def __init__(self, workers: int, max_pixels: int) -> None:
        self._workers, self._max_pixels = workers, max_pixels
        self._threads: tuple[ThreadPoolExecutor, ThreadPoolExecutor] | None = None

    def close(self) -> None:
        """Ends the threads; further images start others."""
        if self._threads is not None:
            for threads in self._threads:
                threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None

    async def decode(
        self, uploads: Sequence[Upload], sizes: Sizes, field: str = "image", framing: Framing = "stretch"
    ) -> list[Picture]:
        """Decodes the images of a request.

        Args:
            uploads: The images.
            sizes: Height and width that each encoder takes.
            field: Name of the request's field, for messages.
            framing: How images are brought to these sizes.

        Raises:
            Problem: 422 with an error for each image that cannot be read.
        """
        found = await asyncio.gather(*(self._decoded(upload.data, sizes, framing) for upload in uploads))
        pictures = [picture for picture in found if isinstance(picture, Picture)]
        errors = [
            {"field": field, "index": index, "detail": reason}
            for index, reason in enumerate(found)
            if isinstance(reason, str)
        ]
        if errors:
            many = f"{len(errors)} images" if len(errors) > 1 else "an image"
            raise Problem(422, f"{many} cannot be read: {errors[0]['detail']}", errors)
        return pictures

    async def _decoded(self, data: bytes, sizes: Sizes, framing: Framing) -> Picture | str:
        """Returns an image, or the reason why it cannot be read."""
        loop = asyncio.get_running_loop()
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._workers, "decode"), ThreadPoolExecutor(1, "decode-large")
        ordinary, one = self._threads
        found = await loop.run_in_executor(ordinary, self._picture, data, sizes, framing, _LARGE)
        if found is None:
            found = await loop.run_in_executor(one, self._picture, data, sizes, framing, self._max_pixels)
        return found or "the image has too many pixels"

    def _picture(self, data: bytes, sizes: Sizes, framing: Framing, most: int) -> Picture | str | None:
        """Returns an image, the reason why it cannot be read, or None if it can but has more than ``most`` pixels."""
        try:
            with open_image(data, _NAME, self._max_pixels) as image:
                width, height = upright_size(image)
                if width * height > most:
                    return None
                pixels = {
                    sizes[0]: opened_pixels(image, sizes[0], _NAME, framing=framing)
                }  # not opened twice: that decodes a PNG
            for size in sizes[1:]:
                if size not in pixels:
                    pixels[size] = load_image(data, size, self._max_pixels, framing=framing)
            return Picture(width, height, [pixels[size] for size in sizes])
        except ImageError as error:
            return one_line(error).removeprefix(f"{_NAME}: ").removeprefix("image (bytes): ")
        except Exception as error:
            if not out_of_memory(error):
                raise
            return "not enough memory to decode it"


def too_many_images(most: int) -> Problem:
    """Returns the problem of a request with more than this many images."""
    detail = f"more than {most} image{'s' * (most > 1)}; send several requests"
    return Problem(422, detail, [{"field": "image", "detail": detail}])
