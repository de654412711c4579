"""Puts a scene on paper: sky, place, then the things where their relation wants them.

Everything is drawn four times as large as it is kept, which smooths the edges.
"""

import functools
import random
from dataclasses import dataclass

from PIL import Image

from capsmith.data.scenes.animals import ANIMALS
from capsmith.data.scenes.objects import OBJECTS
from capsmith.data.scenes.pen import MARGIN, PALETTE, SIDE, Pen
from capsmith.data.scenes.places import draw_place, shadow, wave
from capsmith.data.scenes.plan import AIR, WATER, Scene, Thing
from capsmith.data.scenes.stage import Stage, draw_rain, draw_sky

SHAPES = {**ANIMALS, **OBJECTS}
_OVERSAMPLING = 4
_SIZES = {"small": 0.64, "plain": 1.0, "big": 1.38}
_GROUPS = {2: 0.76, 3: 0.66}
_LEAP = 0.07
"""How high a fish jumps."""
_AFLOAT = {"boat": 0.1, "duck": 0.16, "whale": 0.2}
"""How deep they lie in the water, as a share of their size."""


@dataclass
class _Spot:
    """Where a thing, or a row of them, stands: middle of the foot and scale, in shares of the side."""

    x: float
    foot: float
    scale: float
    flipped: bool


def draw_scene(scene: Scene, rng: random.Random, size: int = 96) -> Image.Image:
    """Draws a scene.

    Args:
        scene: What to show.
        rng: Where places, looks and clouds come from: the same state gives the same image.
        size: Side of the image in pixels.

    Returns:
        An RGB image, ``size`` × ``size``.
    """
    horizon = rng.uniform(0.54, 0.62)
    stage = Stage(size * _OVERSAMPLING, scene.sky, horizon)
    draw_sky(stage, rng)
    draw_place(stage, scene.place, rng)
    first, second = _arrange(scene, rng)
    perched = scene.relation == "on"
    _draw_things(stage, scene.second, second, rng, False)
    _draw_things(stage, scene.first, first, rng, perched)
    if scene.sky == "rain":
        draw_rain(stage, rng)
    return stage.image.reduce(_OVERSAMPLING)


@functools.lru_cache(maxsize=1024)
def sprite(name: str, colour: str, flipped: bool = False, halved: bool = False) -> Image.Image:
    """Returns a thing in a colour, outlined, with the pen's margin around its unit square.

    It is RGBa (premultiplied), which scales several times as fast as RGBA.

    Args:
        name: A kind of thing, or ``perched`` for a bird that sits.
        colour: A colour's name.
        flipped: Look to the left.
        halved: Half as wide and high, for small things.
    """
    if halved:
        return sprite(name, colour, flipped).reduce(2)
    if flipped:
        return sprite(name, colour).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    pen = Pen(PALETTE[colour])
    SHAPES[name].draw(pen)
    return pen.outlined().convert("RGBa")


def _width(thing: Thing, scale: float) -> float:
    shape = SHAPES[thing.kind]
    one = shape.size * scale * (shape.extent[2] - shape.extent[0])
    return one * (1 + _spread(thing) * (thing.count - 1))


def _spread(thing: Thing) -> float:
    """Returns the distance between several of a kind, in widths."""
    return 1.0 if thing.kind in AIR else 0.88


def _height(thing: Thing, scale: float) -> float:
    shape = SHAPES[thing.kind]
    one = shape.size * scale * (1 - shape.extent[1])
    if thing.kind == "fish":
        return one + _LEAP
    return one * 1.35 if thing.count > 1 and thing.kind in AIR else one


def _scale(thing: Thing) -> float:
    return _SIZES[thing.size] * _GROUPS.get(thing.count, 1.0)


def _arrange(scene: Scene, rng: random.Random) -> tuple[_Spot, _Spot]:
    """Finds room for the two things; both shrink alike when there is too little."""
    first = _Spot(0.5, 0.9, _scale(scene.first), rng.random() < 0.5)
    second = _Spot(0.5, 0.9, _scale(scene.second), rng.random() < 0.5)
    low = rng.uniform(0.84, 0.92) if scene.second.kind in WATER else rng.uniform(0.88, 0.95)
    first.foot = second.foot = low
    if scene.relation in ("left", "beside"):
        _in_a_row(scene, first, second, rng)
    elif scene.relation == "above":
        _one_above(scene, first, second, rng)
    elif scene.relation == "on":
        _one_on_top(scene, first, second, rng)
    else:
        second.foot, first.foot = rng.uniform(0.77, 0.82), rng.uniform(0.92, 0.96)
        second.scale, first.scale = second.scale * 1.1, first.scale * 0.85
        second.x = rng.uniform(0.36, 0.64)
        first.x = second.x + rng.uniform(-0.12, 0.12)
    return first, second


def _in_a_row(scene: Scene, first: _Spot, second: _Spot, rng: random.Random) -> None:
    gap = rng.uniform(0.16, 0.3) if scene.relation == "left" else rng.uniform(-0.01, 0.02)
    widths = _width(scene.first, first.scale) + _width(scene.second, second.scale)
    if widths + gap > 0.96:
        gap = min(gap, max(0.96 - widths, 0.13))
        shrink = min(1.0, (0.96 - gap) / widths)
        first.scale, second.scale = first.scale * shrink, second.scale * shrink
    one, other = _width(scene.first, first.scale), _width(scene.second, second.scale)
    start = rng.uniform(0.02, max(0.02, 0.98 - one - gap - other))
    first.x, second.x = start + one / 2, start + one + gap + other / 2
    if scene.relation == "beside" and rng.random() < 0.5:
        first.x, second.x = 1 - first.x, 1 - second.x
    if scene.first.kind in AIR:
        middle = rng.uniform(0.3, 0.48)
        first.foot = middle + _height(scene.first, first.scale) / 2 + rng.uniform(-0.03, 0.03)
        second.foot = middle + _height(scene.second, second.scale) / 2


def _one_above(scene: Scene, first: _Spot, second: _Spot, rng: random.Random) -> None:
    if scene.second.kind in AIR:
        second.foot = rng.uniform(0.7, 0.82)
    room = second.foot - 0.07
    needed = _height(scene.first, first.scale) + _height(scene.second, second.scale)
    shrink = min(1.0, room / needed)
    first.scale, second.scale = first.scale * shrink, second.scale * shrink
    spare = room - needed * shrink
    first.foot = 0.03 + _height(scene.first, first.scale) + rng.uniform(0, 0.7) * spare
    half = max(_width(scene.first, first.scale), _width(scene.second, second.scale)) / 2
    first.x = second.x = rng.uniform(min(half + 0.02, 0.5), max(0.98 - half, 0.5))
    first.x += rng.uniform(-0.07, 0.07)


def _one_on_top(scene: Scene, first: _Spot, second: _Spot, rng: random.Random) -> None:
    shape = SHAPES[scene.second.kind]
    rise = shape.size * (1 - shape.seat[1])
    shrink = min(1.0, (second.foot - 0.03) / (rise * second.scale + _height(scene.first, first.scale)))
    first.scale, second.scale = first.scale * shrink * 0.95, second.scale * shrink
    second.x = rng.uniform(0.34, 0.66)
    across = (shape.seat[0] - 0.5) * shape.size * second.scale
    first.x = second.x + (-across if second.flipped else across)
    first.foot = second.foot - rise * second.scale + 0.01


def _draw_things(stage: Stage, thing: Thing, spot: _Spot, rng: random.Random, perched: bool) -> None:
    """Draws one thing, or a row of two or three of them."""
    step = _width(Thing(thing.kind, thing.colour), spot.scale) * _spread(thing)
    for index in range(thing.count):
        x = spot.x + (index - (thing.count - 1) / 2) * step
        foot = spot.foot
        if thing.count > 1:
            lift = 0.35 * _height(Thing(thing.kind, thing.colour), spot.scale) if thing.kind in AIR else 0.02
            foot -= lift * (index % 2) + rng.uniform(0, 0.01)
        _draw_thing(stage, thing, _Spot(x, foot, spot.scale, spot.flipped), rng, perched)


def _draw_thing(stage: Stage, thing: Thing, spot: _Spot, rng: random.Random, perched: bool) -> None:
    name = "perched" if perched and thing.kind == "bird" else thing.kind
    shape = SHAPES[name]
    size = shape.size * spot.scale
    foot = spot.foot
    if thing.kind in _AFLOAT and not perched:
        foot += _AFLOAT[thing.kind] * size * 0.5
    pixels = round((1 + 2 * MARGIN / SIDE) * size * stage.side)
    image = sprite(name, thing.colour, spot.flipped, pixels <= SIDE // 2 + MARGIN)
    half = size * (shape.extent[2] - shape.extent[0]) / 2
    if thing.kind not in AIR + WATER and not perched:
        shadow(stage, spot.x, foot, half)
    if thing.kind == "fish" and not perched:
        foot -= _LEAP
    image = image.resize((pixels, pixels), Image.Resampling.BILINEAR).convert("RGBA")
    if not perched and (thing.kind in AIR or thing.kind == "fish"):
        tilt = rng.uniform(-9, 9) + (22 if thing.kind == "fish" else 0)
        image = image.rotate(-tilt if spot.flipped else tilt, Image.Resampling.BILINEAR)
    middle = (shape.extent[0] + shape.extent[2]) / 2 - 0.5
    left = spot.x - (-middle if spot.flipped else middle) * size - size / 2 - MARGIN / SIDE * size
    top = foot - size - MARGIN / SIDE * size
    corner = round(left * stage.side), round(top * stage.side)
    if thing.kind in _AFLOAT and not perched:  # what lies under water is not seen
        image = image.crop((0, 0, image.width, min(image.height, round(spot.foot * stage.side) - corner[1])))
    stage.image.paste(image, corner, image)
    if thing.kind in WATER and not perched:
        wave(stage, spot.x, spot.foot - 0.01, half * (0.8 if thing.kind == "fish" else 1.05))
