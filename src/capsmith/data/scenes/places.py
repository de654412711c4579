"""The places of the drawn scenes: ground and background, without the things that captions name."""

import math
import random
from collections.abc import Callable

from capsmith.data.scenes.pen import INK, PAPER, mix
from capsmith.data.scenes.stage import Stage


def draw_place(stage: Stage, place: str, rng: random.Random) -> None:
    """Draws the ground and the background of a place."""
    _PLACE[place](stage, rng)


def _meadow(stage: Stage, rng: random.Random) -> None:
    h = stage.horizon
    stage.hill(h, 0.035, rng.uniform(0, 6), 1.0, stage.lit((128, 190, 108)))
    stage.hill(h + 0.08, 0.03, rng.uniform(0, 6), 1.3, stage.lit((112, 186, 88)))
    stage.hill(h + 0.2, 0.025, rng.uniform(0, 6), 0.8, stage.lit((96, 172, 74)))
    for _ in range(22):
        x, y = rng.random(), rng.uniform(h + 0.12, 1.0)
        for lean in (-0.012, 0.0, 0.012):
            stage.line([(x, y), (x + lean, y - 0.03)], 0.006, stage.lit((66, 138, 58)))
    for _ in range(14):
        x, y = rng.random(), rng.uniform(h + 0.14, 0.99)
        petal = stage.lit(rng.choice(((255, 255, 255), (255, 214, 232), (255, 240, 170))))
        for dx, dy in ((-0.009, 0.0), (0.009, 0.0), (0.0, -0.009), (0.0, 0.009)):
            stage.oval(x + dx, y + dy, 0.0075, 0.0075, petal)
        stage.oval(x, y, 0.006, 0.006, stage.lit((250, 190, 60)))


def _snow(stage: Stage, rng: random.Random) -> None:
    h = stage.horizon
    stage.hill(h, 0.05, rng.uniform(0, 6), 0.9, stage.lit((206, 220, 238)))
    for _ in range(6):
        x, foot = rng.random(), h + rng.uniform(0.0, 0.06)
        for tier in range(3):
            y, half = foot - 0.045 * tier, 0.05 - 0.012 * tier
            stage.poly([(x - half, y), (x + half, y), (x, y - 0.085)], stage.lit((70, 116, 110)))
            stage.poly([(x - half * 0.45, y - 0.047), (x + half * 0.45, y - 0.047), (x, y - 0.085)], stage.lit(PAPER))
    stage.hill(h + 0.09, 0.03, rng.uniform(0, 6), 0.8, stage.lit((226, 236, 248)))
    stage.hill(h + 0.22, 0.025, rng.uniform(0, 6), 1.1, stage.lit((243, 248, 255)))
    for _ in range(26):
        stage.oval(rng.random(), rng.random(), 0.008, 0.008, (255, 255, 255), 235)


def _desert(stage: Stage, rng: random.Random) -> None:
    h = stage.horizon
    stage.hill(h, 0.06, rng.uniform(0, 6), 0.8, stage.lit((226, 170, 104)))
    stage.hill(h + 0.08, 0.045, rng.uniform(0, 6), 1.0, stage.lit((236, 186, 118)))
    for _ in range(rng.randint(3, 4)):
        x, y, size = rng.random(), h + rng.uniform(0.1, 0.18), rng.uniform(0.8, 1.2)
        green = stage.lit((70, 132, 84))
        stage.line([(x, y), (x, y - 0.17 * size)], 0.034 * size, green)
        stage.oval(x, y - 0.17 * size, 0.017 * size, 0.017 * size, green)
        for side, low in ((-1, 0.06), (1, 0.09)):
            elbow = (x + side * 0.045 * size, y - low * size)
            stage.line([(x, y - low * size), elbow, (elbow[0], elbow[1] - 0.055 * size)], 0.022 * size, green)
    stage.hill(h + 0.2, 0.035, rng.uniform(0, 6), 0.7, stage.lit((246, 204, 138)))
    for _ in range(9):
        x, y = rng.random(), rng.uniform(h + 0.24, 1.0)
        stage.line([(x, y), (x + 0.04, y - 0.006), (x + 0.09, y)], 0.005, stage.lit((206, 156, 96)))


def _city(stage: Stage, rng: random.Random) -> None:
    h, x = stage.horizon, -0.03
    while x < 1.0:
        width, top = rng.uniform(0.09, 0.17), h + 0.08 - rng.uniform(0.12, 0.36)
        wall = stage.lit(rng.choice(((134, 144, 168), (152, 142, 158), (116, 132, 154), (166, 158, 160))))
        stage.poly([(x, top), (x + width, top), (x + width, h + 0.1), (x, h + 0.1)], wall)
        glow = (255, 228, 140) if stage.sky in ("night", "sunset") else stage.lit((206, 224, 238))
        for row in range(int((h + 0.06 - top) / 0.045)):
            for column in range(int((width - 0.02) / 0.035)):
                if rng.random() < 0.7:
                    wx, wy = x + 0.016 + column * 0.035, top + 0.016 + row * 0.045
                    stage.poly([(wx, wy), (wx + 0.018, wy), (wx + 0.018, wy + 0.024), (wx, wy + 0.024)], glow)
        x += width + rng.choice((0.0, 0.008))
    stage.hill(h + 0.08, 0.0, 0.0, 1.0, stage.lit((196, 190, 184)))
    stage.hill(h + 0.15, 0.0, 0.0, 1.0, stage.lit((118, 120, 132)))
    start = rng.uniform(-0.1, 0.1)
    for dash in range(6):
        x = start + dash * 0.2
        stage.poly([(x, 0.93), (x + 0.1, 0.93), (x + 0.095, 0.95), (x - 0.005, 0.95)], stage.lit((240, 236, 220)))


def _forest(stage: Stage, rng: random.Random) -> None:
    h = stage.horizon
    for depth, base in enumerate(((64, 112, 92), (46, 92, 70))):
        for index in range(9):
            x = index / 8 + rng.uniform(-0.05, 0.05)
            top = h - rng.uniform(0.24, 0.34) + depth * 0.06
            tint = stage.lit(mix(base, (20, 50, 40), rng.uniform(0, 0.4)))
            for tier in range(4):
                y = top + 0.075 * tier
                half = 0.035 + 0.014 * tier
                stage.poly([(x, y - 0.02), (x - half, y + 0.1), (x + half, y + 0.1)], tint)
            stage.line([(x, h - 0.02), (x, h + 0.08)], 0.022, stage.lit((84, 62, 50)))
    stage.hill(h + 0.05, 0.012, rng.uniform(0, 6), 1.4, stage.lit((78, 122, 66)))
    stage.hill(h + 0.2, 0.02, rng.uniform(0, 6), 1.0, stage.lit((92, 134, 68)))
    for _ in range(8):
        x, y = rng.random(), rng.uniform(h + 0.16, 0.98)
        stage.line([(x, y), (x, y - 0.02)], 0.009, stage.lit((240, 228, 206)))
        stage.draw.pieslice(
            [v * stage.side for v in (x - 0.019, y - 0.038, x + 0.019, y - 0.002)],
            180,
            360,
            stage.lit((188, 92, 72)),
        )


def _beach(stage: Stage, rng: random.Random) -> None:
    h = stage.horizon
    stage.hill(h, 0.0, 0.0, 1.0, stage.lit((56, 150, 190)))
    stage.hill(h + 0.07, 0.004, rng.uniform(0, 6), 4.0, stage.lit((88, 182, 206)))
    stage.hill(h + 0.12, 0.012, rng.uniform(0, 6), 1.6, stage.lit((240, 248, 248)))
    stage.hill(h + 0.145, 0.012, rng.uniform(0, 6), 1.4, stage.lit((248, 222, 160)))
    for _ in range(26):
        stage.oval(rng.random(), rng.uniform(h + 0.2, 1.0), 0.005, 0.004, stage.lit((222, 188, 128)))
    for _ in range(3):
        x, y, turn = rng.random(), rng.uniform(h + 0.22, 0.98), rng.random()
        star = [
            (x + r * math.cos(math.pi * (i / 5 + turn)), y + 0.8 * r * math.sin(math.pi * (i / 5 + turn)))
            for i, r in enumerate((0.026, 0.011) * 5)
        ]
        stage.poly(star, stage.lit((238, 130, 96)))


def _sea(stage: Stage, rng: random.Random) -> None:
    h = stage.horizon
    near, far = stage.lit((28, 104, 170)), stage.lit((86, 176, 214))
    for row in range(6):
        stage.hill(h + row * 0.085, 0.006 + 0.002 * row, rng.uniform(0, 6), 3.0, mix(far, near, row / 5))
    for _ in range(16):
        x, y = rng.random(), rng.uniform(h + 0.03, 0.98)
        stage.line([(x, y), (x + 0.02, y - 0.009), (x + 0.045, y)], 0.006, stage.lit(PAPER), 150)
    if stage.sky == "sunset":
        for row in range(7):
            stage.oval(0.5, h + 0.03 + row * 0.06, 0.1 - row * 0.008, 0.006, (255, 226, 150), 120)


_PLACE: dict[str, Callable[[Stage, random.Random], None]] = {
    "meadow": _meadow,
    "snow": _snow,
    "desert": _desert,
    "city": _city,
    "forest": _forest,
    "beach": _beach,
    "sea": _sea,
}


def wave(stage: Stage, x: float, y: float, half: float) -> None:
    """Draws a wave over the bottom of a swimming thing."""
    crest = [(x - half + 2 * half * i / 24, y - 0.012 * abs(math.sin(math.pi * i / 6))) for i in range(25)]
    stage.poly([*crest, (x + half * 0.9, y + 0.03), (x - half * 0.9, y + 0.03)], stage.lit((48, 128, 188)), 150)
    stage.line(crest, 0.008, stage.lit(PAPER), 210)


def shadow(stage: Stage, x: float, y: float, half: float) -> None:
    """Draws the shadow of a thing on the ground."""
    stage.oval(x, y, half, 0.02, INK, 70)
