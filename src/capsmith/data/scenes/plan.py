"""What is in a drawn scene: two things with colour, size and number, their relation, a place and a sky.

The rule that keeps dev and test apart from train: of all pairs of coloured things, such as a yellow cat and a red car,
one in nine is kept for dev and one in nine for test, and never stands together in train. No thing, colour or word is
new there, nor a cat with a car; the combination is.
"""

import random
from dataclasses import asdict, dataclass
from typing import Any

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white")
GROUND = ("cat", "dog", "rabbit", "horse", "child", "house", "tree", "car", "ball")
WATER = ("boat", "duck", "whale", "fish")
AIR = ("balloon", "kite", "bird", "plane", "butterfly")
KINDS = GROUND + WATER + AIR
LAND = ("meadow", "snow", "desert", "city", "forest", "beach")
PLACES = (*LAND, "sea")
SKIES = ("sunny", "cloudy", "rain", "sunset", "night", "rainbow")
RELATIONS = ("left", "beside", "front", "above", "on")

FEW_KINDS = ("cat", "house", "tree", "car", "boat", "whale", "balloon", "plane")
FEW_COLOURS = ("red", "yellow", "green", "blue", "purple", "white")
"""What a small network learns to tell apart in minutes."""

_SEVERAL = ("rabbit", "tree", "ball", "duck", "fish", "balloon", "kite", "bird", "butterfly")
_RIDERS = {"land": ("cat", "child", "rabbit", "bird", "butterfly", "ball"), "sea": ("cat", "duck", "bird", "butterfly")}
_CARRIERS = {"land": ("house", "car", "horse", "tree"), "sea": ("boat", "whale")}
_BACKDROPS = ("house", "tree")
_IN_FRONT = ("cat", "dog", "rabbit", "child", "car", "ball", "horse")
_HELD_OUT = {"test": 5, "dev": 7}  # of nine classes of pairs


@dataclass(frozen=True)
class Thing:
    """One kind of thing in a scene; ``size`` is ``small``, ``plain`` or ``big``, ``count`` 1 to 3."""

    kind: str
    colour: str
    size: str = "plain"
    count: int = 1


@dataclass(frozen=True)
class Scene:
    """``first`` is left of, beside, in front of, above or on ``second``, as ``relation`` says."""

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
        """Returns the scene that ``to_json`` gave."""
        return cls(**{**value, "first": Thing(**value["first"]), "second": Thing(**value["second"])})


def keeper(first: Thing, second: Thing) -> str:
    """Returns the split that two coloured things, in either order, are kept for: ``train``, ``dev`` or ``test``."""
    pair = sum(KINDS.index(thing.kind) + 2 * COLOURS.index(thing.colour) for thing in (first, second)) % 9
    return next((split for split, held in _HELD_OUT.items() if pair == held), "train")


def plan(rng: random.Random, split: str, few: bool = False) -> Scene:
    """Makes up a scene for a split.

    Args:
        rng: Where the choices come from: the same state gives the same scene.
        split: ``train``, ``dev`` or ``test``.
        few: Show the eight kinds of ``FEW_KINDS`` in six colours, not eighteen in eight.
    """
    allowed = FEW_KINDS if few else KINDS
    while True:
        place = "sea" if rng.random() < 0.3 else rng.choice(LAND)
        relation, kinds = _cast(rng, "sea" if place == "sea" else "land", allowed)
        colours = rng.sample(FEW_COLOURS if few else COLOURS, 2)
        sizes, count = _sizes(rng, relation, kinds)
        first, second = Thing(kinds[0], colours[0], sizes[0], count), Thing(kinds[1], colours[1], sizes[1])
        if keeper(first, second) == split:
            return Scene(first, relation, second, place, rng.choice(SKIES))


def _cast(rng: random.Random, where: str, allowed: tuple[str, ...]) -> tuple[str, tuple[str, str]]:
    """Chooses a relation and two different kinds, of those allowed, that can stand in it."""
    pools: tuple[tuple[str, ...], tuple[str, ...]]
    below = WATER if where == "sea" else GROUND
    relation = rng.choices(RELATIONS, (5, 4, 3 if where == "land" else 0, 6, 3))[0]
    if relation == "above":
        pools = AIR, (AIR if rng.random() < 0.2 else below)
    elif relation == "on":
        pools = _RIDERS[where], _CARRIERS[where]
    elif relation == "front":
        pools = _IN_FRONT, _BACKDROPS
    else:
        pools = (AIR, AIR) if rng.random() < 0.2 else (below, below)
    first = rng.choice([kind for kind in pools[0] if kind in allowed])
    return relation, (first, rng.choice([kind for kind in pools[1] if kind in allowed and kind != first]))


def _sizes(rng: random.Random, relation: str, kinds: tuple[str, str]) -> tuple[list[str], int]:
    """Makes at most one of the two remarkably small or big, or the first one several."""
    if kinds[0] in _SEVERAL and relation in ("left", "above") and rng.random() < 0.35:
        return ["plain", "plain"], rng.choice((2, 3))
    sizes = ["plain", "plain"]
    if rng.random() < 0.35:
        which = rng.randrange(2)
        sizes[which] = rng.choice(("small", "big"))
        if relation in ("on", "front"):  # what is on or in front of something is the smaller of the two
            sizes[which] = ("small", "big")[which]
    return sizes, 1
