"""The content of a drawn scene: two things with colour, size and number, their relation, a place and a sky.

Some pairs of coloured things, such as a yellow cat and a red car, are held out: one in nine for dev, one in nine for
test. They never occur together in train. So dev and test contain no new thing, colour, word or pair of kinds, only new
combinations.
"""

import random
from dataclasses import asdict, dataclass
from typing import Any

GROUND = ("cat", "house", "tree", "car")
WATER = ("boat", "whale")
AIR = ("balloon", "plane")
KINDS = GROUND + WATER + AIR
COLOURS = ("red", "yellow", "green", "blue", "purple", "white")
LAND = ("meadow", "snow", "desert", "city", "forest", "beach")
PLACES = (*LAND, "sea")
SKIES = ("sunny", "cloudy", "rain", "sunset", "night", "rainbow")
RELATIONS = ("left", "beside", "front", "above", "on")

_SEVERAL = ("tree", "balloon")  # kinds of which a scene may contain two or three
_RIDERS = ("cat",)
_CARRIERS = {"land": ("house", "car", "tree"), "sea": ("boat", "whale")}
_IN_FRONT = ("cat", "car")
_BACKDROPS = ("house", "tree")
_PAIR_CLASSES = 9
_HELD_OUT = {"test": 5, "dev": 7}  # class of the pairs that each split holds out
_KIND_NUMBER = {"cat": 0, "house": 5, "tree": 6, "car": 7, "boat": 9, "whale": 11, "balloon": 13, "plane": 16}
_COLOUR_NUMBER = {"red": 0, "yellow": 2, "green": 3, "blue": 4, "purple": 5, "white": 7}
# Changing a number moves scenes between splits.


@dataclass(frozen=True)
class Thing:
    """One or several things of a kind.

    Attributes:
        kind: One of ``KINDS``.
        colour: One of ``COLOURS``.
        size: ``small``, ``plain`` or ``big``.
        count: 1 to 3.
    """

    kind: str
    colour: str
    size: str = "plain"
    count: int = 1


@dataclass(frozen=True)
class Scene:
    """Two things in a place.

    Attributes:
        first: The thing that is left of, beside, in front of, above or on the second.
        relation: One of ``RELATIONS``.
        second: The other thing.
        place: One of ``PLACES``.
        sky: One of ``SKIES``.
    """

    first: Thing
    relation: str
    second: Thing
    place: str
    sky: str

    def to_json(self) -> dict[str, Any]:
        """Returns plain dictionaries for the manifest."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Scene":
        """Returns the scene that ``to_json`` wrote."""
        return cls(**{**value, "first": Thing(**value["first"]), "second": Thing(**value["second"])})


def split_of(first: Thing, second: Thing) -> str:
    """Returns the only split in which two coloured things may occur together, in either order."""
    numbers = (_KIND_NUMBER[thing.kind] + 2 * _COLOUR_NUMBER[thing.colour] for thing in (first, second))
    pair_class = sum(numbers) % _PAIR_CLASSES
    return next((split for split, held_out in _HELD_OUT.items() if pair_class == held_out), "train")


def plan(rng: random.Random, split: str) -> Scene:
    """Draws a random scene for a split.

    Args:
        rng: Random state; the same state gives the same scene.
        split: ``train``, ``dev`` or ``test``.
    """
    while True:
        place = "sea" if rng.random() < 0.3 else rng.choice(LAND)
        relation, kinds = _cast(rng, "sea" if place == "sea" else "land")
        colours = rng.sample(COLOURS, 2)
        sizes, count = _sizes(rng, relation, kinds)
        first, second = Thing(kinds[0], colours[0], sizes[0], count), Thing(kinds[1], colours[1], sizes[1])
        if split_of(first, second) == split:
            return Scene(first, relation, second, place, rng.choice(SKIES))


def _cast(rng: random.Random, where: str) -> tuple[str, tuple[str, str]]:
    """Chooses a relation, and two different kinds that can stand in it."""
    pools: tuple[tuple[str, ...], tuple[str, ...]]
    below = WATER if where == "sea" else GROUND
    relation = rng.choices(RELATIONS, (5, 4, 3 if where == "land" else 0, 6, 3))[0]
    if relation == "above":
        pools = AIR, (AIR if rng.random() < 0.2 else below)
    elif relation == "on":
        pools = _RIDERS, _CARRIERS[where]
    elif relation == "front":
        pools = _IN_FRONT, _BACKDROPS
    else:
        pools = (AIR, AIR) if rng.random() < 0.2 else (below, below)
    first = rng.choice(pools[0])
    return relation, (first, rng.choice([kind for kind in pools[1] if kind != first]))


def _sizes(rng: random.Random, relation: str, kinds: tuple[str, str]) -> tuple[list[str], int]:
    """Returns the sizes of both things and the number of the first: at most one of them is unusual."""
    if kinds[0] in _SEVERAL and relation in ("left", "above") and rng.random() < 0.35:
        return ["plain", "plain"], rng.choice((2, 3))
    sizes = ["plain", "plain"]
    if rng.random() < 0.35:
        which = rng.randrange(2)
        sizes[which] = rng.choice(("small", "big"))
        if relation in ("on", "front"):  # the thing on or in front of the other is the smaller one
            sizes[which] = ("small", "big")[which]
    return sizes, 1
