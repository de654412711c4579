"""Boxes, arrows and text as SVG."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from capsmith.evaluation.line_chart import GREY, INK, RGB

_MARK = "capsmith diagram"
_RADIUS, _HEAD = 8, 8.0  # pixels: the corners of a box; the head of an arrow
Point = tuple[float, float]


class Drawing:
    """A white SVG drawing.

    Args:
        width: In pixels.
        height: In pixels.
        title: The title for screen readers.
    """

    def __init__(self, width: int, height: int, title: str) -> None:
        self.width, self.height, self.title = width, height, title
        self._elements: list[str] = []

    def box(self, x: float, y: float, width: float, height: float, fill: RGB, edge: RGB) -> None:
        """Draws a box with round corners."""
        self._elements.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{_RADIUS}" '
            f'fill="{_hex(fill)}" stroke="{_hex(edge)}" stroke-width="1.5"/>'
        )

    def arrow(self, points: Sequence[Point], dashed: bool = False) -> None:
        """Draws an arrow through points. All its segments are horizontal or vertical."""
        (x0, y0), (x, y) = points[-2:]
        dx, dy = (0, 1 if y > y0 else -1) if x == x0 else (1 if x > x0 else -1, 0)
        path = _path([*points[:-1], (x - dx * _HEAD, y - dy * _HEAD)])
        dash = ' stroke-dasharray="6 5"' if dashed else ""
        self._elements.append(f'<polyline points="{path}" fill="none" stroke="{_hex(GREY)}" stroke-width="1.6"{dash}/>')
        wing = _HEAD * 0.6
        head = [(x, y), *((x - dx * _HEAD + s * dy * wing, y - dy * _HEAD + s * dx * wing) for s in (1, -1))]
        self._elements.append(f'<polygon points="{_path(head)}" fill="{_hex(GREY)}"/>')

    def text(
        self, x: float, y: float, text: str, size: int, colour: RGB = INK, anchor: str = "middle", bold: bool = False
    ) -> None:
        """Writes a line that is vertically centred on y."""
        weight = ' font-weight="600"' if bold else ""
        self._elements.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{_hex(colour)}" text-anchor="{anchor}"{weight} '
            f'dominant-baseline="central">{escape(text)}</text>'
        )

    def svg(self) -> str:
        """Returns the SVG."""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{self.height}" '
            f'viewBox="0 0 {self.width} {self.height}" role="img" '
            "font-family=\"system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif\">\n"
            f"<!-- {_MARK} -->\n<title>{escape(self.title)}</title>\n"
            f'<rect width="{self.width}" height="{self.height}" fill="white"/>\n'
            + "\n".join(self._elements)
            + "\n</svg>\n"
        )

    @staticmethod
    def is_drawing(path: Path) -> bool:
        """Returns whether capsmith wrote a file as a drawing."""
        try:
            return path.is_file() and _MARK.encode() in _start(path)
        except OSError:
            return False


def _path(points: Sequence[Point]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points)


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(1024)


def _hex(colour: RGB) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
