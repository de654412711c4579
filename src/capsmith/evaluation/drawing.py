"""Boxes, arrows and text, drawn once and written as SVG or PNG."""

import io
from collections.abc import Sequence
from html import escape
from pathlib import Path

from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from capsmith.evaluation.fonts import font_for
from capsmith.evaluation.line_chart import GREY, INK, RGB

_SCALE = 3  # Pillow draws larger and scales down, which smooths lines
_MARK = "capsmith diagram"
_ROUND, _HEAD = 8, 8.0  # pixels: a box's corners; an arrow's head
Point = tuple[float, float]


class Drawing:
    """A white sheet that keeps what is drawn as SVG and as pixels.

    Args:
        width: In pixels.
        height: In pixels.
        title: For screen readers.
    """

    def __init__(self, width: int, height: int, title: str) -> None:
        self.width, self.height, self.title = width, height, title
        self._svg: list[str] = []
        self._image = Image.new("RGB", (width * _SCALE, height * _SCALE), "white")
        self._draw = ImageDraw.Draw(self._image)

    def box(self, x: float, y: float, width: float, height: float, fill: RGB, edge: RGB) -> None:
        """Draws a box with round corners."""
        self._svg.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{_ROUND}" '
            f'fill="{_hex(fill)}" stroke="{_hex(edge)}" stroke-width="1.5"/>'
        )
        corners = [v * _SCALE for v in (x, y, x + width, y + height)]
        self._draw.rounded_rectangle(corners, _ROUND * _SCALE, fill=fill, outline=edge, width=round(1.5 * _SCALE))

    def arrow(self, points: Sequence[Point], dashed: bool = False) -> None:
        """Draws a line along points, all level or upright, with a head at its end."""
        (x0, y0), (x, y) = points[-2:]
        dx, dy = (0, 1 if y > y0 else -1) if x == x0 else (1 if x > x0 else -1, 0)
        body = [*points[:-1], (x - dx * _HEAD, y - dy * _HEAD)]
        path = " ".join(f"{px:g},{py:g}" for px, py in body)
        dash = ' stroke-dasharray="6 5"' if dashed else ""
        self._svg.append(f'<polyline points="{path}" fill="none" stroke="{_hex(GREY)}" stroke-width="1.6"{dash}/>')
        for start, end in zip(body, body[1:], strict=False):
            self._line(start, end, dashed)
        wing = _HEAD * 0.6
        head = [(x, y), *((x - dx * _HEAD + s * dy * wing, y - dy * _HEAD + s * dx * wing) for s in (1, -1))]
        self._svg.append(f'<polygon points="{" ".join(f"{px:g},{py:g}" for px, py in head)}" fill="{_hex(GREY)}"/>')
        self._draw.polygon([(px * _SCALE, py * _SCALE) for px, py in head], fill=GREY)

    def text(
        self, x: float, y: float, text: str, size: int, colour: RGB = INK, anchor: str = "middle", bold: bool = False
    ) -> None:
        """Writes a line whose height's middle is at y."""
        weight = ' font-weight="600"' if bold else ""
        self._svg.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{_hex(colour)}" text-anchor="{anchor}"{weight} '
            f'dominant-baseline="central">{escape(text)}</text>'
        )
        place = {"middle": "mm", "start": "lm"}[anchor]
        font = font_for(text, size * _SCALE)
        edge = round(size * _SCALE / 45) if bold else 0
        at = (x * _SCALE, y * _SCALE)
        self._draw.text(at, text, fill=colour, font=font, anchor=place, stroke_width=edge, stroke_fill=colour)

    def svg(self) -> str:
        """Returns the SVG."""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{self.height}" '
            f'viewBox="0 0 {self.width} {self.height}" role="img" '
            "font-family=\"system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif\">\n"
            f"<!-- {_MARK} -->\n<title>{escape(self.title)}</title>\n"
            f'<rect width="{self.width}" height="{self.height}" fill="white"/>\n' + "\n".join(self._svg) + "\n</svg>\n"
        )

    def png(self) -> bytes:
        """Returns the PNG, twice as large as its pixels say: sharp on any screen."""
        note = PngInfo()
        note.add_text("Software", _MARK)
        file = io.BytesIO()
        whole = self._image.resize((self.width * 2, self.height * 2), Image.Resampling.LANCZOS)
        whole.save(file, "PNG", pnginfo=note, optimize=True)
        return file.getvalue()

    @staticmethod
    def made(path: Path) -> bool:
        """Returns whether a file is a drawing that was written before."""
        try:
            return path.is_file() and _MARK.encode() in _head(path)
        except OSError:
            return False

    def _line(self, start: Point, end: Point, dashed: bool) -> None:
        (x, y), (x2, y2) = start, end
        length = abs(x2 - x) + abs(y2 - y)
        pieces = [(at, min(at + 6, length)) for at in range(0, int(length) + 1, 11)] if dashed else [(0, length)]
        for first, last in pieces:
            ends = [(x + (x2 - x) * at / (length or 1), y + (y2 - y) * at / (length or 1)) for at in (first, last)]
            self._draw.line([(px * _SCALE, py * _SCALE) for px, py in ends], fill=GREY, width=round(1.6 * _SCALE))


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(1024)


def _hex(colour: RGB) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
