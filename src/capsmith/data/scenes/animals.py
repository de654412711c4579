"""The animals of the drawn scenes, cut out of paper: one function an animal, looking to the right.

Each is drawn in a unit square; what stands on the ground ends at y = 1.
"""

from collections.abc import Callable

from capsmith.data.scenes.pen import INK, PALETTE, PAPER, RGB, Pen, Shape, curve

ANIMALS: dict[str, Shape] = {}
_ROSE: RGB = (255, 150, 160)
_BEAK: RGB = (250, 150, 40)


def _entry(
    size: float, extent: tuple[float, float, float], seat: tuple[float, float] = (0.5, 0.1)
) -> Callable[[Callable[[Pen], None]], Callable[[Pen], None]]:
    def enter(draw: Callable[[Pen], None]) -> Callable[[Pen], None]:
        ANIMALS[draw.__name__.strip("_")] = Shape(draw, size, extent, seat)
        return draw

    return enter


@_entry(0.30, (0.2, 0.08, 0.92))
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


@_entry(0.33, (0.02, 0.12, 1.0))
def _dog(pen: Pen) -> None:
    pen.line(curve((0.16, 0.52), (0.02, 0.46), (0.04, 0.26)), 0.08, pen.main)
    for x in (0.18, 0.3, 0.52, 0.63):
        pen.box(x, 0.6, x + 0.1, 1.0, pen.dark if x in (0.3, 0.52) else pen.main, 0.04)
    pen.box(0.12, 0.44, 0.74, 0.76, pen.main, 0.15)
    pen.poly([(0.52, 0.5), (0.6, 0.26), (0.84, 0.34), (0.74, 0.66)], pen.main)
    pen.oval(0.73, 0.28, 0.17, 0.16, pen.main)
    pen.box(0.72, 0.25, 0.99, 0.42, pen.light, 0.08)
    pen.oval(0.965, 0.29, 0.04, 0.035, INK)
    pen.line([(0.58, 0.49), (0.77, 0.53)], 0.05, (210, 60, 60) if pen.main != PALETTE["red"] else PALETTE["blue"])
    pen.oval(0.6, 0.32, 0.075, 0.17, pen.dark)
    pen.eye(0.76, 0.24, 0.032)


@_entry(0.28, (0.2, 0.0, 0.85))
def _rabbit(pen: Pen) -> None:
    pen.oval(0.78, 0.84, 0.09, 0.09, PAPER)
    for side in (-1, 1):
        pen.oval(0.47 + side * 0.11, 0.18, 0.075, 0.2, pen.main)
        pen.oval(0.47 + side * 0.11, 0.19, 0.035, 0.14, _ROSE)
    pen.oval(0.5, 0.78, 0.26, 0.22, pen.main)
    pen.oval(0.47, 0.82, 0.13, 0.15, pen.light)
    pen.oval(0.47, 0.48, 0.2, 0.18, pen.main)
    for side in (-1, 1):
        pen.eye(0.47 + side * 0.085, 0.46, 0.034)
        pen.oval(0.47 + side * 0.15, 0.96, 0.12, 0.045, pen.light)
    pen.oval(0.47, 0.54, 0.028, 0.022, _ROSE)
    pen.box(0.445, 0.57, 0.495, 0.63, PAPER, 0.01)


@_entry(0.40, (0.04, 0.0, 0.98), (0.38, 0.42))
def _horse(pen: Pen) -> None:
    pen.line(curve((0.14, 0.48), (0.0, 0.5), (0.07, 0.82)), 0.09, pen.dark)
    for x in (0.15, 0.25, 0.55, 0.64):
        pen.box(x, 0.6, x + 0.085, 1.0, pen.dark if x in (0.25, 0.55) else pen.main, 0.02)
        pen.box(x, 0.94, x + 0.085, 1.0, INK, 0.01)
    pen.oval(0.43, 0.55, 0.32, 0.17, pen.main)
    pen.poly([(0.52, 0.5), (0.68, 0.12), (0.84, 0.16), (0.75, 0.56), (0.64, 0.66)], pen.main)
    pen.line(curve((0.64, 0.06), (0.58, 0.26), (0.53, 0.46)), 0.1, pen.dark)
    pen.poly([(0.68, 0.1), (0.72, 0.0), (0.78, 0.1)], pen.main)
    pen.poly([(0.66, 0.12), (0.78, 0.07), (0.96, 0.25), (0.93, 0.34), (0.84, 0.35), (0.7, 0.27)], pen.main)
    pen.oval(0.9, 0.29, 0.07, 0.065, pen.light)
    pen.eye(0.78, 0.17, 0.028)


@_entry(0.29, (0.02, 0.08, 1.0))
def _duck(pen: Pen) -> None:
    pen.poly([(0.02, 0.46), (0.3, 0.62), (0.2, 0.84)], pen.main)
    pen.pie(0.43, 0.66, 0.36, 0.36, 0, 180, pen.main)
    pen.oval(0.43, 0.68, 0.36, 0.16, pen.main)
    pen.poly([(0.54, 0.32), (0.78, 0.4), (0.79, 0.72), (0.54, 0.72)], pen.main)
    pen.poly([(0.83, 0.26), (1.0, 0.33), (0.83, 0.4)], _BEAK)
    pen.oval(0.68, 0.28, 0.19, 0.19, pen.main)
    pen.pie(0.4, 0.64, 0.24, 0.22, 0, 180, pen.dark)
    pen.oval(0.4, 0.65, 0.24, 0.05, pen.dark)
    pen.eye(0.74, 0.24, 0.034)


@_entry(0.52, (0.02, 0.2, 1.0), (0.58, 0.47))
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


@_entry(0.30, (0.0, 0.14, 1.0))
def _fish(pen: Pen) -> None:
    pen.poly([(0.26, 0.5), (0.0, 0.24), (0.07, 0.5), (0.0, 0.78)], pen.dark)
    pen.poly([(0.4, 0.32), (0.52, 0.1), (0.74, 0.3)], pen.dark)
    pen.poly([(0.45, 0.7), (0.45, 0.9), (0.64, 0.72)], pen.dark)
    pen.oval(0.57, 0.5, 0.41, 0.26, pen.main)
    pen.pie(0.57, 0.5, 0.41, 0.26, 0, 180, pen.light)
    pen.oval(0.57, 0.47, 0.41, 0.2, pen.main)
    for x in (0.34, 0.48, 0.62):
        pen.line(curve((x, 0.3), (x + 0.09, 0.5), (x, 0.7)), 0.035, pen.dark)
    pen.oval(0.82, 0.43, 0.065, 0.065, PAPER)
    pen.eye(0.83, 0.43, 0.04)


@_entry(0.28, (0.0, 0.05, 1.0))
def _bird(pen: Pen) -> None:
    pen.poly([(0.3, 0.56), (0.0, 0.5), (0.04, 0.64), (0.0, 0.76)], pen.dark)
    pen.oval(0.5, 0.6, 0.28, 0.2, pen.main)
    pen.oval(0.54, 0.68, 0.2, 0.1, pen.light)
    pen.oval(0.76, 0.46, 0.16, 0.15, pen.main)
    pen.poly([(0.88, 0.4), (1.0, 0.48), (0.87, 0.53)], _BEAK)
    pen.poly([(0.34, 0.56), (0.26, 0.06), (0.46, 0.16), (0.6, 0.56)], pen.dark)
    pen.line([(0.34, 0.16), (0.46, 0.5)], 0.02, pen.main)
    pen.eye(0.8, 0.43, 0.035)


@_entry(0.26, (0.02, 0.14, 0.98))
def _perched(pen: Pen) -> None:
    for x in (0.46, 0.58):
        pen.line([(x, 0.84), (x, 0.99)], 0.03, _BEAK)
    pen.poly([(0.3, 0.6), (0.02, 0.72), (0.08, 0.86), (0.36, 0.8)], pen.dark)
    pen.oval(0.5, 0.62, 0.27, 0.26, pen.main)
    pen.oval(0.58, 0.7, 0.17, 0.16, pen.light)
    pen.oval(0.66, 0.34, 0.19, 0.19, pen.main)
    pen.poly([(0.82, 0.28), (0.98, 0.36), (0.82, 0.43)], _BEAK)
    pen.poly([(0.24, 0.52), (0.56, 0.5), (0.44, 0.8), (0.2, 0.76)], pen.dark)
    pen.eye(0.72, 0.3, 0.038)


@_entry(0.24, (0.02, 0.08, 0.98))
def _butterfly(pen: Pen) -> None:
    for side in (-1, 1):
        pen.line(curve((0.5, 0.3), (0.5 + side * 0.04, 0.12), (0.5 + side * 0.14, 0.1)), 0.025, INK)
        pen.poly(
            [(0.5, 0.46), (0.5 + side * 0.2, 0.18), (0.5 + side * 0.42, 0.2), (0.5 + side * 0.4, 0.5)],
            pen.main,
        )
        pen.oval(0.5 + side * 0.31, 0.31, 0.17, 0.18, pen.main)
        pen.oval(0.5 + side * 0.25, 0.7, 0.18, 0.19, pen.dark)
        pen.poly([(0.5, 0.46), (0.5 + side * 0.36, 0.52), (0.5 + side * 0.12, 0.76)], pen.dark)
        pen.oval(0.5 + side * 0.32, 0.31, 0.08, 0.09, pen.light)
        pen.oval(0.5 + side * 0.26, 0.71, 0.07, 0.08, pen.light)
    pen.oval(0.5, 0.5, 0.05, 0.26, INK)
    pen.oval(0.5, 0.26, 0.06, 0.06, INK)
