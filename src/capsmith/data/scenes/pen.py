"""Colours and drawing primitives of the scenes, in a unit square (x to the right, y down)."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFilter

RGB = tuple[int, int, int]
Points = Sequence[tuple[float, float]]

PALETTE: dict[str, RGB] = {
    "red": (222, 36, 42),
    "yellow": (254, 224, 52),
    "green": (40, 170, 72),
    "blue": (36, 98, 224),
    "purple": (140, 56, 188),
    "white": (250, 250, 246),
}
_SHADES: dict[RGB, tuple[RGB, float]] = {
    PALETTE["yellow"]: ((206, 120, 20), 0.5),
    PALETTE["white"]: ((150, 160, 185), 0.4),
}
INK: RGB = (44, 36, 56)
PAPER: RGB = (255, 250, 238)
SIDE = 256
"""Side of the unit square in pixels."""
MARGIN = 24
"""Pixels around the unit square, for the outline."""


def mix(one: RGB, other: RGB, share: float) -> RGB:
    """Returns the colour at ``share`` of the way from one colour to the other."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def curve(start: tuple[float, float], bend: tuple[float, float], end: tuple[float, float]) -> Points:
    """Returns twelve points of a quadratic Bézier curve."""
    points = []
    for index in range(12):
        t = index / 11
        a, b, c = (1 - t) ** 2, 2 * t * (1 - t), t * t
        points.append((a * start[0] + b * bend[0] + c * end[0], a * start[1] + b * bend[1] + c * end[1]))
    return points


class Pen:
    """Draws flat shapes in the unit square.

    Attributes:
        main: The colour of the thing.
        dark: A darker shade of the colour.
        light: A lighter shade of the colour.
        image: The drawing, RGBA, with ``MARGIN`` pixels around the unit square.
    """

    def __init__(self, colour: RGB) -> None:
        shade, share = _SHADES.get(colour, (INK, 0.3))
        self.main = colour
        self.dark = mix(colour, shade, share)
        self.light = mix(colour, PAPER, 0.42) if colour != PALETTE["white"] else mix(colour, shade, 0.2)
        self.image = Image.new("RGBA", (SIDE + 2 * MARGIN,) * 2, (*colour, 0))
        self._draw = ImageDraw.Draw(self.image)

    def _at(self, points: Points) -> list[tuple[float, float]]:
        return [(MARGIN + x * SIDE, MARGIN + y * SIDE) for x, y in points]

    def oval(self, x: float, y: float, rx: float, ry: float, fill: RGB) -> None:
        """Fills an ellipse around (x, y)."""
        self._draw.ellipse(self._at([(x - rx, y - ry), (x + rx, y + ry)]), fill=fill)

    def poly(self, points: Points, fill: RGB) -> None:
        """Fills a polygon."""
        self._draw.polygon(self._at(points), fill=fill)

    def box(self, left: float, top: float, right: float, bottom: float, fill: RGB, radius: float = 0.0) -> None:
        """Fills a rectangle with rounded corners."""
        self._draw.rounded_rectangle(self._at([(left, top), (right, bottom)]), radius * SIDE, fill=fill)

    def line(self, points: Points, width: float, fill: RGB) -> None:
        """Draws a line with round joints and ends."""
        self._draw.line(self._at(points), fill=fill, width=max(1, round(width * SIDE)), joint="curve")
        for x, y in (points[0], points[-1]):
            self.oval(x, y, width / 2, width / 2, fill)

    def pie(self, x: float, y: float, rx: float, ry: float, start: float, end: float, fill: RGB) -> None:
        """Fills a sector of an ellipse; angles in degrees, clockwise from the right."""
        self._draw.pieslice(self._at([(x - rx, y - ry), (x + rx, y + ry)]), start, end, fill=fill)

    def eye(self, x: float, y: float, radius: float = 0.03) -> None:
        """Draws an eye with a highlight."""
        self.oval(x, y, radius, radius, INK)
        self.oval(x + radius * 0.3, y - radius * 0.35, radius * 0.35, radius * 0.35, PAPER)

    def outlined(self) -> Image.Image:
        """Returns the drawing with an outline in ink."""
        alpha = self.image.getchannel("A").filter(ImageFilter.GaussianBlur(SIDE / 75))
        ink = Image.new("RGBA", self.image.size, (*INK, 0))
        ink.putalpha(alpha.point([min(255, level * 6) for level in range(256)]))
        return Image.alpha_composite(ink, self.image)


class Shape(NamedTuple):
    """Drawing function and proportions of a kind of thing.

    Attributes:
        draw: Draws the thing with a pen.
        size: Side of the unit square as a share of the image width.
        extent: Left, top and right of the drawing, in the unit square.
        seat: The point where a thing on top of it stands, in the unit square.
    """

    draw: Callable[[Pen], None]
    size: float
    extent: tuple[float, float, float]
    seat: tuple[float, float]
