"""How an image of any aspect ratio is brought to the size that a network takes."""

from dataclasses import dataclass
from typing import Any, Literal

from PIL import Image

_MAX_RESIZED = 25_000_000  # pixels of an image before its centre is cut out


@dataclass(frozen=True)
class Resize:
    """How a network's reference implementation brings images to its size; gives the same pixels, bit for bit.

    Images are decoded at full size. Of very long ones (about 1 to 500), pixels may differ by one grey level.

    Attributes:
        resample: Filter of Pillow, which is antialiased.
        shorter: Pixels to which the shorter side is resized before the centre is cut out. None resizes height and width
            independently, and keeps the complete image.
    """

    resample: Literal["bicubic", "bilinear"]
    shorter: int | None = None

    @property
    def filter(self) -> Image.Resampling:
        """Pillow's name of the filter."""
        return Image.Resampling.BICUBIC if self.resample == "bicubic" else Image.Resampling.BILINEAR

    def apply(self, image: Image.Image, target: tuple[int, int]) -> Image.Image:
        """Returns an image in the given width and height."""
        if self.shorter is None:
            return image.resize(target, self.filter)
        width, height = image.size
        short = min(width, height)
        resized = int(self.shorter * width / short), int(self.shorter * height / short)
        left, top = (resized[0] - target[0]) // 2, (resized[1] - target[1]) // 2
        box = left, top, left + target[0], top + target[1]
        if resized[0] * resized[1] <= _MAX_RESIZED:
            return image.resize(resized, self.filter).crop(box)
        scales = (width / resized[0], height / resized[1]) * 2
        sides = (width, height) * 2
        whole = tuple(min(edge * scale, float(side)) for edge, scale, side in zip(box, scales, sides, strict=True))
        return image.resize(target, self.filter, box=(whole[0], whole[1], whole[2], whole[3]))


Framing = Literal["stretch"] | Resize
"""``stretch`` resizes height and width independently, as the encoders here were trained; large JPEGs may be decoded at
a reduced size. A ``Resize`` is the protocol of another network."""


class ImageSize(tuple[int, int]):
    """The height and width that a network takes, which also says how images are brought to this size.

    Wherever a size is passed on, the framing travels with it. A plain tuple means ``stretch``, unless the call that
    loads the image says otherwise.

    Attributes:
        framing: How images are brought to this size.
    """

    framing: Framing

    def __new__(cls, height: int, width: int, framing: Framing) -> "ImageSize":
        """Returns a size."""
        size = super().__new__(cls, (height, width))
        size.framing = framing
        return size

    def __eq__(self, other: object) -> bool:
        """Returns whether pixels of both sizes are the same."""
        return tuple.__eq__(self, other) is True and self.framing == getattr(other, "framing", "stretch")

    def __ne__(self, other: object) -> bool:
        """Returns whether pixels of the two sizes differ."""
        return not self == other

    def __hash__(self) -> int:
        """Returns a hash that agrees with ``==``."""
        return hash(tuple(self)) if self.framing == "stretch" else hash((*self, self.framing))

    def __repr__(self) -> str:
        """Returns both, for error messages of Python; ``str`` shows the tuple."""
        return f"ImageSize({self[0]}, {self[1]}, {self.framing!r})"

    def __str__(self) -> str:
        """Returns the tuple."""
        return tuple.__repr__(self)

    def __reduce__(self) -> tuple[Any, ...]:
        """Returns how to copy or unpickle it."""
        return type(self), (*self, self.framing)


def framing_of(size: tuple[int, int], framing: Framing) -> Framing:
    """Returns the framing that a size brings along, otherwise the given one."""
    return size.framing if isinstance(size, ImageSize) else framing
