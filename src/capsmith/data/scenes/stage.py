"""The canvas of a drawn scene: an image with a sky, whose light tints everything drawn on it."""

import functools
import math
import random

from PIL import Image, ImageDraw, ImageOps

from capsmith.data.scenes.pen import PAPER, RGB, mix

_SKY: dict[str, tuple[RGB, RGB]] = {
    "sunny": ((84, 172, 240), (206, 236, 252)),
    "cloudy": ((142, 158, 178), (212, 218, 224)),
    "rain": ((84, 98, 124), (156, 168, 184)),
    "sunset": ((112, 70, 140), (255, 186, 104)),
    "night": ((16, 20, 62), (66, 74, 138)),
    "rainbow": ((112, 190, 240), (226, 242, 250)),
}
_LIGHT: dict[str, tuple[RGB, float]] = {
    "sunny": (PAPER, 0.0),
    "cloudy": ((120, 126, 140), 0.22),
    "rain": ((70, 80, 104), 0.36),
    "sunset": ((176, 72, 60), 0.3),
    "night": ((20, 24, 74), 0.55),
    "rainbow": (PAPER, 0.06),
}
_RAINBOW: tuple[RGB, ...] = (
    (230, 70, 70),
    (245, 150, 60),
    (250, 220, 80),
    (90, 190, 100),
    (80, 130, 230),
    (150, 90, 200),
)


class Stage:
    """A canvas with coordinates in shares of its side (x to the right, y down).

    Attributes:
        image: RGB, ``side`` × ``side``.
        horizon: Bottom of the sky.
        sky: The name of the sky.
    """

    def __init__(self, side: int, sky: str, horizon: float) -> None:
        self.side, self.sky, self.horizon = side, sky, horizon
        self.image = Image.new("RGB", (side, side), _SKY[sky][1])
        self.image.paste(_ramp(sky).resize((side, round(side * horizon)), Image.Resampling.BILINEAR))
        self.draw = ImageDraw.Draw(self.image, "RGBA")

    def lit(self, colour: RGB) -> RGB:
        """Returns a colour tinted by the light of the sky."""
        light, share = _LIGHT[self.sky]
        return mix(colour, light, share)

    def oval(self, x: float, y: float, rx: float, ry: float, fill: RGB, alpha: int = 255) -> None:
        """Fills an ellipse around (x, y)."""
        s = self.side
        self.draw.ellipse(((x - rx) * s, (y - ry) * s, (x + rx) * s, (y + ry) * s), fill=(*fill, alpha))

    def poly(self, points: list[tuple[float, float]], fill: RGB, alpha: int = 255) -> None:
        """Fills a polygon."""
        self.draw.polygon([(x * self.side, y * self.side) for x, y in points], fill=(*fill, alpha))

    def line(self, points: list[tuple[float, float]], width: float, fill: RGB, alpha: int = 255) -> None:
        """Draws a line; ``width`` is a share of the side."""
        points = [(x * self.side, y * self.side) for x, y in points]
        self.draw.line(points, fill=(*fill, alpha), width=max(1, round(width * self.side)), joint="curve")

    def hill(self, y: float, height: float, phase: float, waves: float, fill: RGB) -> None:
        """Fills the area below a wavy line at about ``y``."""
        steps = 48
        top = [(x / steps, y - height * math.sin(phase + waves * math.tau * x / steps)) for x in range(steps + 1)]
        self.poly([*top, (1.0, 1.01), (0.0, 1.01)], fill)


@functools.cache
def _ramp(sky: str) -> Image.Image:
    return ImageOps.colorize(Image.linear_gradient("L").resize((1, 256)), *_SKY[sky])


def draw_sky(stage: Stage, rng: random.Random) -> None:
    """Draws sun, moon, stars, clouds, rain clouds or a rainbow, as the sky requires."""
    x = rng.choice((rng.uniform(0.1, 0.26), rng.uniform(0.74, 0.9)))
    y = rng.uniform(0.12, 0.2)
    if stage.sky == "sunny":
        _sun(stage, x, y, rng.uniform(0.075, 0.1))
        for _ in range(rng.randint(1, 2)):
            _cloud(stage, rng, rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.35), PAPER, 235)
    elif stage.sky == "sunset":
        for ring, alpha in ((0.26, 50), (0.19, 70)):
            stage.oval(x, stage.horizon - 0.02, ring, ring, (255, 214, 120), alpha)
        stage.oval(x, stage.horizon - 0.02, 0.12, 0.12, (255, 232, 150))
        for _ in range(3):
            cx, cy = rng.random(), rng.uniform(0.12, stage.horizon - 0.1)
            stage.oval(cx, cy, rng.uniform(0.14, 0.24), 0.016, (255, 150, 130), 170)
    elif stage.sky == "night":
        for _ in range(rng.randint(22, 34)):
            radius = rng.choice((0.005, 0.006, 0.009))
            stage.oval(rng.random(), rng.uniform(0.0, stage.horizon), radius, radius, (255, 246, 200), 230)
        stage.oval(x, y, 0.12, 0.12, (255, 244, 200), 40)
        stage.oval(x, y, 0.085, 0.085, (255, 244, 200))
        stage.oval(x + 0.04, y - 0.02, 0.075, 0.075, mix(*_SKY["night"], y / stage.horizon))
    elif stage.sky == "rainbow":
        centre, radius = rng.uniform(0.35, 0.65), rng.uniform(0.44, 0.52)
        for band, colour in enumerate(_RAINBOW):
            r = (radius - band * 0.022) * stage.side
            cx, cy = centre * stage.side, (stage.horizon + 0.04) * stage.side
            stage.draw.arc((cx - r, cy - r, cx + r, cy + r), 180, 360, (*colour, 225), round(stage.side * 0.024))
        _cloud(stage, rng, rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.3), PAPER, 235)
    else:
        grey = (236, 240, 244) if stage.sky == "cloudy" else (104, 114, 136)
        for index in range(5):
            tint = mix(grey, (150, 160, 178) if stage.sky == "cloudy" else (70, 80, 104), rng.uniform(0, 0.5))
            _cloud(stage, rng, index / 4 + rng.uniform(-0.1, 0.1), rng.uniform(0.02, 0.26), tint, 245)


def draw_rain(stage: Stage, rng: random.Random) -> None:
    """Draws rain over the complete image."""
    for _ in range(70):
        x, y = rng.uniform(-0.05, 1.1), rng.uniform(-0.05, 1.0)
        stage.line([(x, y), (x - 0.022, y + 0.075)], 0.006, (206, 222, 244), 190)


def _sun(stage: Stage, x: float, y: float, radius: float) -> None:
    stage.oval(x, y, radius * 1.9, radius * 1.9, (255, 236, 150), 60)
    for ray in range(12):
        angle = ray * math.tau / 12
        tip = (x + 1.75 * radius * math.cos(angle), y + 1.75 * radius * math.sin(angle))
        feet = [(x + 1.1 * radius * math.cos(angle + d), y + 1.1 * radius * math.sin(angle + d)) for d in (-0.16, 0.16)]
        stage.poly([tip, *feet], (255, 204, 64))
    stage.oval(x, y, radius, radius, (255, 214, 72))


def _cloud(stage: Stage, rng: random.Random, x: float, y: float, fill: RGB, alpha: int) -> None:
    size = rng.uniform(0.8, 1.25)
    shade = mix(fill, (120, 140, 170), 0.22)
    for dy, colour in ((0.012, shade), (0.0, fill)):
        for dx, up, r in (
            (-0.085, 0.0, 0.042),
            (-0.03, 0.028, 0.056),
            (0.04, 0.018, 0.05),
            (0.095, -0.004, 0.036),
        ):
            stage.oval(x + dx * size, y - up * size + dy, r * size, r * size * 0.82, colour, alpha)
