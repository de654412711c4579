"""Captions of drawn scenes: a small grammar over the words in ``words.py``.

A caption consists of a frame (which thing comes first, with or without a verb), a name for each thing, a phrase for
the relation, and the place, the sky, both or neither, at the end or at the start.
"""

import random
from collections.abc import Sequence

from capsmith.data.scenes import words
from capsmith.data.scenes.plan import AIR, Scene, Thing

_FRAME_WEIGHTS = {"plain": 6, "being": 4, "there": 2, "still": 4, "inverse": 3, "with": 2, "together": 2}
_BACKGROUND_WEIGHTS = {"sky": 5, "place": 4, "both": 5, "none": 1}
_LONG = 11  # captions whose body has more words mention only place or sky, not both


def captions(scene: Scene, rng: random.Random, count: int = 5) -> tuple[str, ...]:
    """Returns different captions of a scene, in lower case and without punctuation.

    Args:
        scene: The content of the image.
        rng: Random state; the same state gives the same captions.
        count: Number of captions.
    """
    unique: dict[str, None] = {}
    while len(unique) < count:
        unique[caption(scene, rng)] = None
    return tuple(unique)


def caption(scene: Scene, rng: random.Random) -> str:
    """Returns one caption."""
    body = _FRAMES[_frame(scene, rng)](scene, rng)
    background = _weighted(rng, tuple(_BACKGROUND_WEIGHTS.items()))
    if background == "both" and len(body.split()) > _LONG:
        background = rng.choice(("sky", "place"))
    parts = _background(scene, rng, background)
    if parts and rng.random() < 0.2:
        return " ".join((parts[-1], body, *parts[:-1]))
    return " ".join((body, *parts))


def _frame(scene: Scene, rng: random.Random) -> str:
    """Chooses a frame that fits the relation."""
    weights = dict(_FRAME_WEIGHTS)
    if scene.relation not in ("left", "beside"):
        del weights["together"]
    if scene.relation not in words.INVERSES:
        del weights["inverse"]
    return _weighted(rng, tuple(weights.items()))


def _plain(scene: Scene, rng: random.Random) -> str:
    return f"{_name(scene.first, rng)} {_verb(scene, rng)} {_relation(scene, rng)} {_name(scene.second, rng)}"


def _being(scene: Scene, rng: random.Random) -> str:
    verb = _verb(scene, rng, participle=True)
    return f"{_name(scene.first, rng)} {verb} {_relation(scene, rng)} {_name(scene.second, rng)}"


def _still(scene: Scene, rng: random.Random) -> str:
    return f"{_name(scene.first, rng)} {_relation(scene, rng)} {_name(scene.second, rng)}"


def _there(scene: Scene, rng: random.Random) -> str:
    return f"there {_is(scene.first)} {_still(scene, rng)}"


def _inverse(scene: Scene, rng: random.Random) -> str:
    relation = _weighted(rng, words.INVERSES[scene.relation])
    verb = _conjugate(words.VERBS[scene.second.kind], scene.second, rng) + " " if rng.random() < 0.6 else ""
    return f"{_name(scene.second, rng)} {verb}{relation} {_name(scene.first, rng)}"


def _with(scene: Scene, rng: random.Random) -> str:
    where = _weighted(rng, words.WITH[scene.relation]).format(it="it", its="its")
    return f"{_name(scene.second, rng)} with {_name(scene.first, rng)} {where}"


def _together(scene: Scene, rng: random.Random) -> str:
    both = f"{_name(scene.first, rng)} and {_name(scene.second, rng)}"
    return f"{both} {_weighted(rng, words.SIDE_BY_SIDE)}" if scene.relation == "beside" else both


_FRAMES = {
    "plain": _plain,
    "being": _being,
    "still": _still,
    "there": _there,
    "inverse": _inverse,
    "with": _with,
    "together": _together,
}


def _name(thing: Thing, rng: random.Random) -> str:
    """Returns a noun phrase such as "a small red cat" or "two red balloons"."""
    nouns = words.NOUNS[thing.kind]
    singular, plural, _ = rng.choices(nouns, [noun[2] for noun in nouns])[0]
    size = _weighted(rng, words.SIZES[thing.size]) if thing.size in words.SIZES and rng.random() < 0.9 else ""
    phrase = " ".join(word for word in (size, thing.colour, singular if thing.count == 1 else plural) if word)
    return f"{_article(phrase) if thing.count == 1 else words.NUMBERS[thing.count]} {phrase}"


def _article(phrase: str) -> str:
    return "an" if phrase[0] in "aeiou" else "a"


def _is(thing: Thing) -> str:
    return "is" if thing.count == 1 else "are"


def _relation(scene: Scene, rng: random.Random) -> str:
    return _weighted(rng, words.RELATIONS[scene.relation])


def _verb(scene: Scene, rng: random.Random, participle: bool = False) -> str:
    verbs = (words.ON_TOP,) if scene.relation == "on" else words.VERBS[scene.first.kind]
    return _conjugate(verbs, scene.first, rng, participle)


def _conjugate(
    verbs: Sequence[tuple[str, str, str, int]], thing: Thing, rng: random.Random, participle: bool = False
) -> str:
    singular, plural, ing, _ = rng.choices(verbs, [verb[3] for verb in verbs])[0]
    if participle:
        return f"{_is(thing)} {ing}"
    return singular if thing.count == 1 else plural


def _background(scene: Scene, rng: random.Random, background: str) -> list[str]:
    """Returns the phrases for place and sky: ``background`` is ``sky``, ``place``, ``both`` or ``none``."""
    flying = scene.first.kind in AIR and scene.second.kind in AIR
    places = words.OVER if flying else words.PLACES
    parts = []
    if background in ("place", "both"):
        parts.append(_weighted(rng, places[scene.place]))
    if background in ("sky", "both"):
        parts.append(_weighted(rng, words.SKIES[scene.sky]))
    return parts


def _weighted(rng: random.Random, choices: Sequence[tuple[str, int]]) -> str:
    return rng.choices([word for word, _ in choices], [weight for _, weight in choices])[0]
