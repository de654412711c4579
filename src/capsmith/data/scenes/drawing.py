"""Draws a scene: the sky, the place, then the two things, placed according to their relation.

Everything is drawn at four times the final size, for antialiasing.
"""

import functools
import random
from dataclasses import dataclass

from PIL import Image

from capsmith.data.scenes.objects import SHAPES
from capsmith.data.scenes.pen import MARGIN, PALETTE, SIDE, Pen
from capsmith.data.scenes.places import draw_place, shadow, wave
from capsmith.data.scenes.plan import AIR, WATER, Scene, Thing
from capsmith.data.scenes.stage import Stage, draw_rain, draw_sky

_OVERSAMPLING = 4
_SIZES = {"small": 0.64, "plain": 1.0, "big": 1.38}
_GROUPS = {2: 0.76, 3: 0.66}  # size of each of several things
_DRAUGHT = {"boat": 0.1, "whale": 0.2}  # depth below the water line, as a share of the size


@dataclass
class _Spot:
    """The position of a thing, or of a row of several, in shares of the image side.

    Attributes:
        x: Middle.
        foot: Bottom.
        scale: Scale factor.
        flipped: Whether it faces left.
    """

    x: float
    foot: float
    scale: float
    flipped: bool


def draw_scene(scene: Scene, rng: random.Random, size: int = 96) -> Image.Image:
    """Draws a scene.

    Args:
        scene: The content.
        rng: Random state for positions, orientation and clouds; the same state gives the same image.
        size: Side of the image in pixels.

    Returns:
        An RGB image, ``size`` × ``size``.
    """
    horizon = rng.uniform(0.54, 0.62)
    stage = Stage(size * _OVERSAMPLING, scene.sky, horizon)
    draw_sky(stage, rng)
    draw_place(stage, scene.place, rng)
    first, second = _arrange(scene, rng)
    on_top = scene.relation == "on"
    _draw_things(stage, scene.second, second, rng, False)
    _draw_things(stage, scene.first, first, rng, on_top)
    if scene.sky == "rain":
        draw_rain(stage, rng)
    return stage.image.reduce(_OVERSAMPLING)


@functools.lru_cache(maxsize=1024)
def sprite(kind: str, colour: str, flipped: bool = False, halved: bool = False) -> Image.Image:
    """Returns a thing in a colour with its outline and the pen's margin around the unit square.

    The image is RGBa (premultiplied), which scales several times as fast as RGBA.

    Args:
        kind: The kind of thing.
        colour: The name of the colour.
        flipped: Face left.
        halved: Half the width and height, for small things.
    """
    if halved:
        return sprite(kind, colour, flipped).reduce(2)
    if flipped:
        return sprite(kind, colour).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    pen = Pen(PALETTE[colour])
    SHAPES[kind].draw(pen)
    return pen.outlined().convert("RGBa")


def _width(thing: Thing, scale: float) -> float:
    shape = SHAPES[thing.kind]
    one = shape.size * scale * (shape.extent[2] - shape.extent[0])
    return one * (1 + _spacing(thing) * (thing.count - 1))


def _spacing(thing: Thing) -> float:
    """Returns the distance between several things, in widths."""
    return 1.0 if thing.kind in AIR else 0.88


def _height(thing: Thing, scale: float) -> float:
    shape = SHAPES[thing.kind]
    one = shape.size * scale * (1 - shape.extent[1])
    return one * 1.35 if thing.count > 1 and thing.kind in AIR else one


def _scale(thing: Thing) -> float:
    return _SIZES[thing.size] * _GROUPS.get(thing.count, 1.0)


def _arrange(scene: Scene, rng: random.Random) -> tuple[_Spot, _Spot]:
    """Places the two things; both shrink by the same factor if there is too little room."""
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


def _draw_things(stage: Stage, thing: Thing, spot: _Spot, rng: random.Random, on_top: bool) -> None:
    """Draws one thing, or a row of two or three."""
    step = _width(Thing(thing.kind, thing.colour), spot.scale) * _spacing(thing)
    for index in range(thing.count):
        x = spot.x + (index - (thing.count - 1) / 2) * step
        foot = spot.foot
        if thing.count > 1:
            lift = 0.35 * _height(Thing(thing.kind, thing.colour), spot.scale) if thing.kind in AIR else 0.02
            foot -= lift * (index % 2) + rng.uniform(0, 0.01)
        _draw_thing(stage, thing, _Spot(x, foot, spot.scale, spot.flipped), rng, on_top)


def _draw_thing(stage: Stage, thing: Thing, spot: _Spot, rng: random.Random, on_top: bool) -> None:
    shape = SHAPES[thing.kind]
    size = shape.size * spot.scale
    foot = spot.foot
    swims = thing.kind in WATER and not on_top
    if swims:
        foot += _DRAUGHT[thing.kind] * size * 0.5
    pixels = round((1 + 2 * MARGIN / SIDE) * size * stage.side)
    image = sprite(thing.kind, thing.colour, spot.flipped, pixels <= SIDE // 2 + MARGIN)
    half = size * (shape.extent[2] - shape.extent[0]) / 2
    if thing.kind not in AIR + WATER and not on_top:
        shadow(stage, spot.x, foot, half)
    image = image.resize((pixels, pixels), Image.Resampling.BILINEAR).convert("RGBA")
    if thing.kind in AIR and not on_top:
        tilt = rng.uniform(-9, 9)
        image = image.rotate(-tilt if spot.flipped else tilt, Image.Resampling.BILINEAR)
    middle = (shape.extent[0] + shape.extent[2]) / 2 - 0.5
    left = spot.x - (-middle if spot.flipped else middle) * size - size / 2 - MARGIN / SIDE * size
    top = foot - size - MARGIN / SIDE * size
    corner = round(left * stage.side), round(top * stage.side)
    if swims:  # the part below the water line is hidden
        image = image.crop((0, 0, image.width, min(image.height, round(spot.foot * stage.side) - corner[1])))
    stage.image.paste(image, corner, image)
    if swims:
        wave(stage, spot.x, spot.foot - 0.01, half * 1.05)
