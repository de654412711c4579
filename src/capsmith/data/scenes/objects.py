"""The things of the drawn scenes, as cut-out shapes that face right: one function per kind.

Each is drawn in a unit square; what stands on the ground ends at y = 1.
"""

from collections.abc import Callable

from capsmith.data.scenes.pen import INK, PAPER, RGB, Pen, Shape, curve, mix

SHAPES: dict[str, Shape] = {}
"""The shape of each kind of thing."""
_WOOD: RGB = (132, 88, 54)
_ROSE: RGB = (255, 150, 160)
_GLASS: RGB = (196, 232, 250)


def _shape(
    size: float, extent: tuple[float, float, float], seat: tuple[float, float] = (0.5, 0.1)
) -> Callable[[Callable[[Pen], None]], Callable[[Pen], None]]:
    """Registers a drawing function under its name; for the arguments see ``Shape``."""

    def register(draw: Callable[[Pen], None]) -> Callable[[Pen], None]:
        SHAPES[draw.__name__.strip("_")] = Shape(draw, size, extent, seat)
        return draw

    return register


@_shape(0.30, (0.2, 0.08, 0.92))
def _cat(pen: Pen) -> None:
    pen.line(curve((0.62, 0.93), (1.02, 0.95), (0.86, 0.52)), 0.085, pen.dark)
    pen.oval(0.47, 0.76, 0.23, 0.24, pen.main)
    pen.oval(0.47, 0.8, 0.1, 0.17, pen.light)
    for side in (-1, 1):
        pen.poly([(0.47 + side * 0.25, 0.06), (0.47 + side * 0.05, 0.2), (0.47 + side * 0.25, 0.36)], pen.main)
        pen.poly([(0.47 + side * 0.22, 0.13), (0.47 + side * 0.12, 0.2), (0.47 + side * 0.22, 0.28)], _ROSE)
    pen.oval(0.47, 0.36, 0.26, 0.21, pen.main)
    for side in (-1, 1):
        pen.eye(0.47 + side * 0.11, 0.34, 0.037)
        pen.oval(0.47 + side * 0.11, 0.97, 0.08, 0.04, pen.light)
        for drop in (0.0, 0.06):
            pen.line([(0.47 + side * 0.13, 0.43), (0.47 + side * 0.33, 0.4 + drop)], 0.012, INK)
    pen.poly([(0.43, 0.41), (0.51, 0.41), (0.47, 0.46)], _ROSE)


@_shape(0.52, (0.02, 0.2, 1.0), (0.58, 0.47))
def _whale(pen: Pen) -> None:
    for side in (-1, 1):
        pen.line(curve((0.68, 0.5), (0.68, 0.28), (0.68 + side * 0.13, 0.3)), 0.04, (190, 228, 250))
    pen.poly([(0.08, 0.44), (0.0, 0.22), (0.14, 0.26), (0.26, 0.16), (0.2, 0.44)], pen.dark)
    tail = [*curve((0.08, 0.4), (0.1, 0.98), (0.5, 0.99)), *curve((0.5, 0.5), (0.26, 0.74), (0.2, 0.38))]
    pen.poly(tail, pen.main)
    pen.oval(0.62, 0.735, 0.37, 0.265, pen.main)
    pen.pie(0.62, 0.76, 0.365, 0.24, 12, 150, pen.light)
    for x in (0.54, 0.64, 0.74):
        pen.line(curve((x, 0.89), (x + 0.02, 0.93), (x, 0.98)), 0.014, pen.dark)
    pen.poly(curve((0.42, 0.76), (0.46, 0.98), (0.3, 0.96)), pen.dark)
    pen.eye(0.83, 0.68, 0.032)


@_shape(0.44, (0.06, 0.04, 0.94), (0.5, 0.06))
def _house(pen: Pen) -> None:
    pen.box(0.68, 0.1, 0.8, 0.4, mix(_WOOD, INK, 0.2))
    pen.box(0.16, 0.42, 0.84, 1.0, pen.main)
    pen.box(0.16, 0.9, 0.84, 1.0, pen.dark)
    pen.poly([(0.5, 0.05), (0.97, 0.47), (0.03, 0.47)], pen.dark)
    pen.poly([(0.5, 0.05), (0.62, 0.16), (0.3, 0.47), (0.03, 0.47)], mix(pen.dark, pen.main, 0.5))
    pen.box(0.43, 0.64, 0.6, 1.0, _WOOD, 0.03)
    pen.oval(0.565, 0.83, 0.018, 0.018, PAPER)
    for x in (0.22, 0.66):
        pen.box(x, 0.56, x + 0.14, 0.74, PAPER)
        pen.box(x + 0.02, 0.58, x + 0.12, 0.72, (255, 226, 130))
        pen.line([(x + 0.07, 0.58), (x + 0.07, 0.72)], 0.012, PAPER)
    pen.oval(0.5, 0.3, 0.055, 0.055, (255, 226, 130))


@_shape(0.46, (0.1, 0.0, 0.9), (0.5, 0.07))
def _tree(pen: Pen) -> None:
    pen.poly([(0.44, 0.5), (0.56, 0.5), (0.61, 1.0), (0.39, 1.0)], _WOOD)
    pen.line([(0.5, 0.72), (0.68, 0.52)], 0.05, _WOOD)
    for x, y, r in ((0.3, 0.46, 0.19), (0.7, 0.46, 0.19), (0.5, 0.52, 0.18)):
        pen.oval(x, y, r, r * 0.92, pen.dark)
    for x, y, r in ((0.5, 0.25, 0.23), (0.32, 0.38, 0.18), (0.68, 0.38, 0.18), (0.5, 0.42, 0.2)):
        pen.oval(x, y, r, r, pen.main)
    for x, y, r in ((0.43, 0.17, 0.09), (0.27, 0.34, 0.06), (0.64, 0.33, 0.06)):
        pen.oval(x, y, r, r * 0.7, pen.light)


@_shape(0.40, (0.02, 0.34, 0.98), (0.46, 0.37))
def _car(pen: Pen) -> None:
    pen.poly([(0.18, 0.64), (0.28, 0.36), (0.64, 0.36), (0.8, 0.64)], pen.main)
    pen.poly([(0.27, 0.6), (0.33, 0.42), (0.45, 0.42), (0.45, 0.6)], _GLASS)
    pen.poly([(0.5, 0.6), (0.5, 0.42), (0.61, 0.42), (0.71, 0.6)], _GLASS)
    pen.box(0.03, 0.58, 0.97, 0.86, pen.main, 0.1)
    pen.box(0.03, 0.76, 0.97, 0.86, pen.dark, 0.05)
    pen.oval(0.93, 0.67, 0.035, 0.045, (255, 240, 160))
    pen.line([(0.475, 0.62), (0.475, 0.76)], 0.014, pen.dark)
    for x in (0.25, 0.75):
        pen.oval(x, 0.86, 0.14, 0.14, INK)
        pen.oval(x, 0.86, 0.065, 0.065, (205, 210, 220))


@_shape(0.46, (0.04, 0.0, 0.98), (0.2, 0.68))
def _boat(pen: Pen) -> None:
    pen.line([(0.47, 0.02), (0.47, 0.76)], 0.035, _WOOD)
    pen.poly([(0.5, 0.05), (0.92, 0.66), (0.5, 0.66)], pen.light)
    pen.poly([(0.5, 0.34), (0.7, 0.34), (0.79, 0.47), (0.5, 0.47)], pen.main)
    pen.poly([(0.44, 0.14), (0.44, 0.66), (0.16, 0.66)], pen.main)
    pen.poly([(0.47, 0.0), (0.47, 0.08), (0.34, 0.04)], pen.dark)
    pen.poly([(0.03, 0.72), (0.97, 0.72), (0.82, 1.0), (0.17, 1.0)], pen.main)
    pen.poly([(0.03, 0.72), (0.97, 0.72), (0.94, 0.79), (0.06, 0.79)], pen.dark)
    for x in (0.32, 0.5, 0.68):
        pen.oval(x, 0.88, 0.035, 0.035, PAPER)


@_shape(0.36, (0.14, 0.0, 0.86))
def _balloon(pen: Pen) -> None:
    for side in (-1, 1):
        pen.line([(0.5 + side * 0.2, 0.6), (0.5 + side * 0.08, 0.86)], 0.016, _WOOD)
    pen.box(0.4, 0.83, 0.6, 1.0, _WOOD, 0.03)
    pen.box(0.38, 0.81, 0.62, 0.87, mix(_WOOD, PAPER, 0.35), 0.02)
    pen.oval(0.5, 0.35, 0.35, 0.35, pen.main)
    pen.poly([(0.18, 0.48), (0.82, 0.48), (0.6, 0.75), (0.4, 0.75)], pen.main)
    pen.oval(0.5, 0.35, 0.2, 0.35, pen.light)
    pen.poly([(0.31, 0.48), (0.69, 0.48), (0.56, 0.75), (0.44, 0.75)], pen.light)
    pen.oval(0.5, 0.35, 0.08, 0.35, pen.main)
    pen.poly([(0.42, 0.4), (0.58, 0.4), (0.53, 0.75), (0.47, 0.75)], pen.main)


@_shape(0.40, (0.0, 0.14, 1.0))
def _plane(pen: Pen) -> None:
    pen.poly([(0.5, 0.44), (0.36, 0.16), (0.46, 0.16), (0.68, 0.46)], pen.dark)
    pen.poly([(0.04, 0.5), (0.0, 0.2), (0.12, 0.2), (0.28, 0.46)], pen.dark)
    pen.poly([(0.02, 0.46), (0.8, 0.36), (0.8, 0.66), (0.3, 0.66)], pen.main)
    pen.oval(0.8, 0.51, 0.19, 0.15, pen.main)
    pen.poly([(0.06, 0.52), (0.97, 0.56), (0.8, 0.66), (0.3, 0.66)], pen.light)
    pen.pie(0.84, 0.48, 0.12, 0.1, 270, 360, _GLASS)
    for x in (0.38, 0.49, 0.6, 0.71):
        pen.oval(x, 0.47, 0.032, 0.036, _GLASS)
    pen.poly([(0.6, 0.56), (0.3, 0.86), (0.42, 0.86), (0.76, 0.58)], pen.main)
    pen.line([(0.6, 0.57), (0.36, 0.83)], 0.02, pen.dark)
