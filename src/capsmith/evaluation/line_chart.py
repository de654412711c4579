"""Line charts as pixels: axes with round numbers, lines, a mark and a legend. ``history.png`` uses them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from capsmith.evaluation.fonts import font_for

RGB = tuple[int, int, int]
INK: RGB = (38, 42, 51)
GREY: RGB = (107, 114, 128)
RULE: RGB = (226, 229, 235)
COLOURS: tuple[RGB, ...] = (
    (0, 114, 178),
    (213, 94, 0),
    (0, 158, 115),
    (148, 82, 165),
    (230, 159, 0),
    (86, 180, 233),
    (120, 120, 120),
)
"""Colours that colour-blind readers can distinguish (after Okabe and Ito)."""
_SCALE = 3
"""The factor by which everything is drawn larger and then scaled down, which smooths lines."""


@dataclass(frozen=True)
class Line:
    """A named series of (x, y) points and its colour."""

    name: str
    points: list[tuple[float, float]]
    colour: RGB


class Canvas:
    """A white canvas. Coordinates are pixels of the finished image."""

    def __init__(self, width: int, height: int) -> None:
        self.image = Image.new("RGB", (width * _SCALE, height * _SCALE), "white")
        self._draw = ImageDraw.Draw(self.image)

    def line(self, points: Sequence[tuple[float, float]], colour: RGB, width: float = 1.0) -> None:
        """Draws a line through points."""
        scaled = [(x * _SCALE, y * _SCALE) for x, y in points]
        self._draw.line(scaled, fill=colour, width=max(1, round(width * _SCALE)), joint="curve")

    def dashes(self, x: float, top: float, low: float, colour: RGB) -> None:
        """Draws a vertical dashed line."""
        y = top
        while y < low:
            self.line([(x, y), (x, min(y + 6, low))], colour, 1.5)
            y += 11

    def dot(self, x: float, y: float, radius: float, fill: RGB, edge: RGB) -> None:
        """Draws a disc with an outline."""
        box = [v * _SCALE for v in (x - radius, y - radius, x + radius, y + radius)]
        self._draw.ellipse(box, fill=fill, outline=edge, width=2 * _SCALE)

    def text(self, x: float, y: float, text: str, colour: RGB = GREY, size: int = 15, anchor: str = "lm") -> float:
        """Writes a line of text; returns its width."""
        font = font_for(text, size * _SCALE)
        self._draw.text((x * _SCALE, y * _SCALE), text, fill=colour, font=font, anchor=anchor)
        return font.getlength(text) / _SCALE

    def finished(self) -> Image.Image:
        """Returns the image at its final size."""
        return self.image.reduce(_SCALE)


class Panel:
    """One plot in a box of left, top, right and bottom; the horizontal axis is the epoch."""

    def __init__(self, canvas: Canvas, box: tuple[int, int, int, int], epochs: tuple[float, float]) -> None:
        self.canvas, self.epochs = canvas, epochs
        self.left, self.top, self.right, self.low = box
        self.scales: dict[str, tuple[float, float]] = {}

    def draw(self, title: str, lines: list[Line], second: list[Line]) -> None:
        """Draws axes and lines; the lines of ``second`` have their scale on the right side."""
        self.canvas.text(self.left, self.top - 30, title, INK, 20)
        if not any(line.points for line in lines):
            self.canvas.text((self.left + self.right) / 2, (self.top + self.low) / 2, "no data yet", anchor="mm")
        steps = self._scale(lines)
        for value in steps:
            y = self._y(lines[0], value) if lines else self.low
            self.canvas.line([(self.left, y), (self.right, y)], RULE)
            self.canvas.text(self.left - 10, y, tick_label(value, steps), anchor="rm")
        steps = self._scale(second)
        for value in steps:
            self.canvas.text(self.right + 10, self._y(second[0], value), tick_label(value, steps), second[0].colour)
        if second:
            self.canvas.text(self.right + 10, self.top - 30, "cider", second[0].colour)
        for value in integer_ticks(*self.epochs):
            self.canvas.text(self._x(value), self.low + 18, f"{value:g}", anchor="mm")
        self.canvas.text((self.left + self.right) / 2, self.low + 42, "epoch", anchor="mm")
        self.canvas.line([(self.left, self.low), (self.right, self.low)], GREY, 1.2)
        for line in [*lines, *second]:
            points = [(self._x(x), self._y(line, y)) for x, y in line.points]
            if len(points) > 1:
                self.canvas.line(points, line.colour, 2.4)
            if len(points) <= 40:
                for x, y in points:
                    self.canvas.dot(x, y, 3, line.colour, line.colour)

    def mark(self, line: Line, point: tuple[float, float]) -> None:
        """Marks the best epoch."""
        x, y = self._x(point[0]), self._y(line, point[1])
        self.canvas.dashes(x, self.top, self.low, line.colour)
        self.canvas.dot(x, y, 6, (255, 255, 255), line.colour)
        text = f"best: epoch {point[0]:g}, {line.name} {point[1]:.3f}"
        self.canvas.text(self.right, self.top - 30, text, line.colour, anchor="rm")

    def legend(self, lines: list[Line]) -> None:
        """Writes the names of the lines below the plot."""
        x = float(self.left)
        for line in lines:
            self.canvas.line([(x, self.low + 74), (x + 18, self.low + 74)], line.colour, 3)
            x += 26 + self.canvas.text(x + 24, self.low + 74, line.name, INK) + 18

    def _scale(self, lines: list[Line]) -> list[float]:
        values = [y for line in lines for _, y in line.points] or [0.0, 1.0]
        steps = ticks(min(values), max(values))
        for line in lines:
            self.scales[line.name] = steps[0], steps[-1]
        return steps if lines else []

    def _x(self, epoch: float) -> float:
        first, last = self.epochs
        share = (epoch - first) / (last - first) if last > first else 0.5
        return self.left + 14 + share * (self.right - self.left - 28)

    def _y(self, line: Line, value: float) -> float:
        low, high = self.scales[line.name]
        return self.low - (value - low) / (high - low) * (self.low - self.top)


def ticks(low: float, high: float) -> list[float]:
    """Returns round numbers that enclose a range, with about five steps between them."""
    if high - low < 1e-9:
        low, high = low - (abs(low) * 0.1 or 0.5), high + (abs(high) * 0.1 or 0.5)
    rough = (high - low) / 5
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, last + 1)]


def integer_ticks(first: float, last: float) -> list[float]:
    """Returns at most eleven integers in equal steps, starting with the first."""
    step = max(1, math.ceil((last - first) / 10))
    return [value for value in range(round(first), round(last) + 1) if (value - round(first)) % step == 0]


def tick_label(value: float, neighbours: list[float]) -> str:
    """Returns a tick as text with as many decimals as its neighbours need."""
    step = neighbours[1] - neighbours[0]
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    if round(step, decimals) != round(step, decimals + 2):
        decimals += 1
    return f"{value:.{decimals}f}"
